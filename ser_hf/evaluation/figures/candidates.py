"""Compare heads and features: test score with its interval, and the score on held-out training speakers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from matplotlib.figure import Figure

from ser_hf.evaluation.figures.saving import save_figure

CHOSEN, OTHER = "#0072B2", "#999999"  # Okabe and Ito's blue; grey


class DrawnCandidate(Protocol):
    """A head of a comparison; scores are 1 at best."""

    features: str
    head: str
    scores: dict[str, float]
    intervals: dict[str, list[float]]
    inner_score: float
    chosen: bool


def plot_candidates(
    candidates: Sequence[DrawnCandidate], path: str | Path, *, metric: str, title: str, percent: bool
) -> None:
    """Draw a row per candidate: test score with its 95 % interval, and the score on held-out training speakers.

    Args:
        candidates: Heads; ``scores`` are on the test speakers, ``inner_score`` is on held-out training speakers.
        path: PNG file to write (150 dpi), in a folder that exists.
        metric: Name of the score in `scores`.
        title: Short name of the score, for the axis.
        percent: Whether scores are drawn in percent.
    """
    rows, scale = sorted(candidates, key=lambda row: row.inner_score), 100 if percent else 1
    figure = Figure(figsize=(6.4, 0.26 * len(rows) + 0.6))
    axes = figure.add_axes((0, 0, 1, 1))
    for place, row in enumerate(rows):
        colour = CHOSEN if row.chosen else OTHER
        low, high = (scale * bound for bound in row.intervals[metric])
        axes.plot([low, high], [place, place], color=colour, linewidth=2, zorder=1)
        axes.plot(scale * row.scores[metric], place, "o", color=colour, zorder=3)
        axes.plot(scale * row.inner_score, place, "|", color="black", markersize=9, markeredgewidth=1.6, zorder=2)
    names = [f"{row.head.replace('_', ' ')}, {row.features}" for row in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=8)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row.chosen else "normal")
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_xlabel(f"{title} (%)" if percent else title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="0.9", zorder=0)
    axes.plot([], [], "o-", color=CHOSEN, label="test, 95 % interval: chosen")
    axes.plot([], [], "o-", color=OTHER, label="others")
    axes.plot([], [], "|", color="black", markersize=9, markeredgewidth=1.6, label="training speakers (used to choose)")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=3, frameon=False, fontsize=8)
    save_figure(figure, path)
