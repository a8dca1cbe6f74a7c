"""Draw the confusion matrix of an evaluation."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ser_hf.evaluation.figures.saving import save_figure
from ser_hf.evaluation.predictions import Scores

CELL = 0.78  # inches
LARGEST = 24  # inches; the cells of more than 30 emotions are smaller
MOST_NUMBERS = 60  # with more emotions there is no space for numbers in the cells
MOST_NAMES = 150  # with more emotions, only some are named


def plot_confusion(summary: Scores, path: str | Path) -> None:
    """Draw the confusion matrix, under a title with UA and WA and their 95 % intervals.

    Each row is a target. Its colours and percentages are shares of the row, so the diagonal is the recall;
    the small numbers are counts. The row of an emotion without utterances is grey.

    Args:
        summary: Result of `ser_hf.evaluation.summarize`.
        path: PNG file to write (150 dpi), in a folder that exists.
    """
    emotions, counts = summary.confusion["emotions"], np.array(summary.confusion["counts"])
    support = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, support, out=np.full(counts.shape, np.nan), where=support > 0)
    side = min(len(emotions) * CELL, LARGEST)
    figure = Figure(figsize=(side, side))
    axes = figure.add_axes((0, 0, 1, 1))  # the tight bounding box of savefig adds space for names and title
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(emotions) <= MOST_NUMBERS:
        _write_cells(axes, counts, shares)
    _name_axes(axes, emotions)
    _write_title(axes, summary)
    save_figure(figure, path)


def _write_cells(axes: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    """Write percentage and count into each cell that has utterances."""
    for row, column in np.argwhere(counts > 0):
        share = shares[row, column]
        style: dict[str, Any] = {"ha": "center", "va": "center", "color": "white" if share > 0.55 else "0.1"}
        axes.text(column, row - 0.1, f"{100 * share:.0f} %", fontsize=10, **style)
        axes.text(column, row + 0.22, f"{counts[row, column]}", fontsize=7.5, **style)


def _name_axes(axes: Axes, emotions: list[str]) -> None:
    named = range(0, len(emotions), -(-len(emotions) // MOST_NAMES))
    names = [emotions[i] for i in named]
    axes.set_xticks(named, names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(named, names)
    axes.set_xlabel("predicted emotion")
    axes.set_ylabel("target emotion")
    axes.set_facecolor("0.93")
    axes.spines[:].set_visible(False)
    if len(emotions) <= MOST_NUMBERS:
        edges = np.arange(len(emotions) + 1) - 0.5
        axes.set_xticks(edges, minor=True)
        axes.set_yticks(edges, minor=True)
        axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)


def _write_title(axes: Axes, summary: Scores) -> None:
    scores = []
    for name in ("ua", "wa"):
        low, high = (100 * bound for bound in summary.intervals[name])
        scores.append(f"{name.upper()} {100 * getattr(summary, name):.1f} %  [{low:.1f}, {high:.1f}]")
    axes.set_title("      ".join(scores), loc="left", fontsize=11, pad=36)
    speakers = f", {summary.speakers} speaker{'s' * (summary.speakers > 1)}" if summary.speakers else ""
    utterances = f"{summary.utterances} utterance{'s' * (summary.utterances > 1)}"
    note = "UA: mean recall of the emotions; WA: share of correct utterances\n"
    note += f"{utterances}{speakers}; 95 % intervals over {summary.interval_unit}s"
    axes.annotate(note, (0, 1), (0, 9), "axes fraction", "offset points", color="0.4", fontsize=8.5)
