"""Draw predicted ratings against those of the annotators."""

from collections.abc import Sequence
from pathlib import Path

import pandas
from matplotlib.figure import Figure

from ser_hf.evaluation.figures.palette import BLUE, ORANGE
from ser_hf.evaluation.figures.saving import save_figure

PANEL = 2.8  # inches


def plot_ratings(table: pandas.DataFrame, dimensions: Sequence[str], path: str | Path) -> None:
    """Draw a panel per dimension: the predicted value of each utterance against its rating, both as share of the scale.

    Args:
        table: Columns target_<dimension> and score_<dimension>.
        dimensions: Names of the dimensions.
        path: PNG file to write (150 dpi), in a folder that exists.
    """
    figure = Figure(figsize=(PANEL * len(dimensions), PANEL), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(dimensions), squeeze=False)[0], dimensions, strict=True):
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, zorder=1)
        axes.scatter(table[f"target_{name}"], table[f"score_{name}"], s=8, alpha=0.4, color=BLUE, linewidths=0)
        axes.set(title=name, xlim=(-0.05, 1.05), ylim=(-0.05, 1.05), aspect="equal")
        axes.set(xlabel="rated by annotators", ylabel="predicted")
        axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def plot_plane(table: pandas.DataFrame, path: str | Path) -> None:
    """Draw rated and predicted utterances in the plane of valence and arousal, as shares of the scale.

    Args:
        table: Columns target_ and score_ of valence and arousal.
        path: PNG file to write (150 dpi), in a folder that exists.
    """
    figure = Figure(figsize=(1.6 * PANEL, 1.4 * PANEL), layout="constrained")
    axes = figure.subplots()
    kinds = (("target", "rated by annotators", ORANGE, "o"), ("score", "predicted", BLUE, "^"))
    for kind, label, colour, marker in kinds:
        axes.scatter(table[f"{kind}_valence"], table[f"{kind}_arousal"], s=14, alpha=0.6, color=colour, linewidths=0,
                     label=label, marker=marker)  # fmt: skip
    axes.axhline(0.5, color="0.8", linewidth=1, zorder=0)
    axes.axvline(0.5, color="0.8", linewidth=1, zorder=0)
    axes.set(xlim=(-0.05, 1.05), ylim=(-0.05, 1.05), xlabel="valence (unpleasant to pleasant)")
    axes.set_ylabel("arousal (calm to excited)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    save_figure(figure, path)
