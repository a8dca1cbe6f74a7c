"""Compare heads and features: test score with its interval, and the score on held-out training speakers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from matplotlib.figure import Figure

from ser_hf.evaluation.figures.palette import BLUE, GREY
from ser_hf.evaluation.figures.saving import save_figure

CHOSEN, OTHER = (BLUE, "D"), (GREY, "o")  # colour and marker
HEADS = {
    "svm_rbf": "SVM with RBF kernel",
    "svm_linear": "linear SVM",
    "knn": "nearest neighbours",
    "mlp": "neural network (MLP)",
    "ridge": "ridge regression",
    "svr_linear": "linear SVR",
    "svr_rbf": "SVR with RBF kernel",
}


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
        title: Name of the score, for the axis.
        percent: Whether scores are drawn in percent.
    """
    rows, scale = sorted(candidates, key=lambda row: row.inner_score), 100 if percent else 1
    figure = Figure(figsize=(6.4, 0.26 * len(rows) + 0.6))
    axes = figure.add_axes((0, 0, 1, 1))
    for place, row in enumerate(rows):
        colour, marker = CHOSEN if row.chosen else OTHER
        low, high = (scale * bound for bound in row.intervals[metric])
        axes.plot([low, high], [place, place], color=colour, linewidth=2, zorder=1)
        axes.plot(scale * row.scores[metric], place, marker, color=colour, zorder=3)
        axes.plot(scale * row.inner_score, place, "|", color="black", markersize=9, markeredgewidth=1.6, zorder=2)
    names = [f"{name_head(row.head)}, {name_features(row.features)}" for row in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=8)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row.chosen else "normal")
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_xlabel(f"{title} in %" if percent else title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="0.9", zorder=0)
    for (colour, marker), meaning in ((CHOSEN, "chosen head, test speakers, 95 % interval"), (OTHER, "other heads")):
        axes.plot([], [], f"{marker}-", color=colour, label=meaning)
    meaning = "held-out training speakers: the best one is chosen"
    axes.plot([], [], "|", color="black", markersize=9, markeredgewidth=1.6, label=meaning)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=2, frameon=False, fontsize=8)
    save_figure(figure, path)


def name_head(head: str) -> str:
    """Return the name of a scikit-learn head for readers.

    Examples:
        >>> name_head("svm_linear"), name_head("logistic_regression")
        ('linear SVM', 'logistic regression')
    """
    return HEADS.get(head, head.replace("_", " "))


def name_features(features: str) -> str:
    """Return the name of features for readers.

    Examples:
        >>> name_features("layer 3"), name_features("classical")
        ('layer 3 of the encoder', 'classical features')
    """
    names = {"egemaps": "eGeMAPS features", "all layers": "all layers of the encoder"}
    return names.get(features) or (f"{features} of the encoder" if "layer" in features else f"{features} features")
