"""Compare heads and features: test UA with its interval, and the UA on held-out training speakers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from matplotlib.figure import Figure

from ser_hf.evaluation.figures.saving import save_figure

CHOSEN, OTHER = "#0072B2", "#999999"  # Okabe and Ito's blue; grey


class DrawnCandidate(Protocol):
    """A head of a comparison; scores are from 0 to 1."""

    features: str
    head: str
    ua: float
    intervals: dict[str, list[float]]
    inner_ua: float
    chosen: bool


def plot_candidates(candidates: Sequence[DrawnCandidate], path: str | Path) -> None:
    """Draw a row per candidate: test UA with its 95 % interval, and the UA on held-out training speakers.

    Args:
        candidates: Heads; ``ua`` is that on the test speakers, ``inner_ua`` that on held-out training speakers.
        path: PNG file to write (150 dpi), in a folder that exists.
    """
    rows = sorted(candidates, key=lambda row: row.inner_ua)
    figure = Figure(figsize=(6.4, 0.26 * len(rows) + 0.6))
    axes = figure.add_axes((0, 0, 1, 1))
    for place, row in enumerate(rows):
        colour = CHOSEN if row.chosen else OTHER
        low, high = (100 * bound for bound in row.intervals["ua"])
        axes.plot([low, high], [place, place], color=colour, linewidth=2, zorder=1)
        axes.plot(100 * row.ua, place, "o", color=colour, zorder=3)
        axes.plot(100 * row.inner_ua, place, "|", color="black", markersize=9, markeredgewidth=1.6, zorder=2)
    names = [f"{row.head.replace('_', ' ')}, {row.features}" for row in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=8)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row.chosen else "normal")
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_xlabel("UA (%)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="0.9", zorder=0)
    axes.plot([], [], "o-", color=CHOSEN, label="test, 95 % interval: chosen")
    axes.plot([], [], "o-", color=OTHER, label="others")
    axes.plot([], [], "|", color="black", markersize=9, markeredgewidth=1.6, label="training speakers (used to choose)")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=3, frameon=False, fontsize=8)
    save_figure(figure, path)
