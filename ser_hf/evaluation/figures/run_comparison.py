"""Compare finished runs: a test score with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from ser_hf.evaluation.figures.palette import BLUE, VERMILION
from ser_hf.evaluation.figures.saving import save_figure

INDEPENDENT, SHARED = BLUE, VERMILION


@dataclass
class RunScore:
    """Hold a row of the figure: a test score, its interval [low, high], and whether no test speaker is in training."""

    title: str
    score: float
    interval: tuple[float, float]
    speaker_independent: bool


def plot_runs(runs: Sequence[RunScore], label: str, path: str | Path) -> None:
    """Draw a row per run, in the given order from the top: test score and its 95 % interval.

    Runs whose test speakers are also in training have hollow markers: their scores are too high.

    Args:
        runs: Scores of the runs.
        label: Name of the score.
        path: PNG file to write (150 dpi), in a folder that exists.
    """
    figure = Figure(figsize=(6.4, 0.32 * len(runs) + 0.6))
    axes = figure.add_axes((0, 0, 1, 1))
    for place, run in enumerate(reversed(runs)):
        colour = INDEPENDENT if run.speaker_independent else SHARED
        fill = colour if run.speaker_independent else "white"
        low, high = run.interval
        axes.plot([low, high], [place, place], color=colour, linewidth=2, zorder=2)
        axes.plot(run.score, place, "o", color=colour, markerfacecolor=fill, zorder=3)
        point, above = (run.score, place), (0, 5)
        axes.annotate(f"{run.score:.3g}", point, above, textcoords="offset points", ha="center", fontsize=7)
    axes.set_yticks(range(len(runs)), [run.title for run in reversed(runs)], fontsize=8)
    axes.set_ylim(-0.6, len(runs) - 0.2)
    axes.set_xlabel(f"{label}, 95 % interval over test speakers")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="0.9", zorder=0)
    axes.plot([], [], "o-", color=INDEPENDENT, label="test speakers not in training")
    if not all(run.speaker_independent for run in runs):
        axes.plot([], [], "o-", color=SHARED, markerfacecolor="white", label="test speakers also in training: too high")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=2, frameon=False, fontsize=8)
    save_figure(figure, path)
