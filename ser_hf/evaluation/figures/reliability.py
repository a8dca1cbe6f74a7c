"""Draw the calibration of a model, and the accuracy gained by leaving out uncertain utterances."""

from pathlib import Path
from typing import Any

import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ser_hf.evaluation.calibration import BINS, expected_calibration_error
from ser_hf.evaluation.figures.palette import BLUE, GREY, VERMILION
from ser_hf.evaluation.figures.saving import save_figure

TEST, VALIDATION = (BLUE, "-"), (VERMILION, "--")  # colour and line
BEFORE, AFTER = GREY, BLUE


def plot_reliability(before: pandas.DataFrame, after: pandas.DataFrame, path: str | Path) -> None:
    """Draw accuracy against score before and after calibration, above the number of utterances with each score.

    A bar that ends at the diagonal is calibrated; one that ends below it is overconfident.

    Args:
        before: Result of `ser_hf.evaluation.calibration.reliability` for the scores as trained.
        after: The same for the calibrated scores of the same utterances.
        path: PNG file to write (150 dpi), in a folder that exists.
    """
    figure = Figure(figsize=(8, 4.6), layout=ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.08))
    axes = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=[3, 1])
    panels = [("before calibration", before, BEFORE), ("after calibration", after, AFTER)]
    for (above, below), (name, bins, colour) in zip(axes.T, panels, strict=True):
        _plot_accuracy(above, bins, colour)
        above.set_title(name, loc="left", fontsize=10)
        above.set_title(f"calibration error {expected_calibration_error(bins):.3f}", loc="right", fontsize=10)
        _plot_counts(below, bins, colour)
    axes[0, 0].set_ylabel("accuracy (%)")
    axes[1, 0].set_ylabel("utterances")
    for panel in axes.flat:
        _clean_axes(panel)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=9
    )
    save_figure(figure, path)


def plot_coverage(validation: pandas.DataFrame, test: pandas.DataFrame, threshold: float, path: str | Path) -> None:
    """Draw the accuracy of the accepted utterances against their share, and mark the chosen threshold.

    Args:
        validation: Result of `ser_hf.evaluation.calibration.coverage_curve` for the validation utterances.
        test: The same for the test utterances.
        threshold: Lowest best score of an accepted utterance; lower ones are uncertain.
        path: PNG file to write (150 dpi), in a folder that exists.
    """
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for name, curve, (colour, line) in (("validation", 100 * validation, VALIDATION), ("test", 100 * test, TEST)):
        stay = curve.index[curve["threshold"] >= 100 * threshold][:1]  # at most one row: the threshold
        style: dict[str, Any] = {"linewidth": 1.5, "markersize": 8, "markeredgecolor": "white"}
        label = f"{name}: {_describe_curve(curve, stay)}"
        axes.plot(
            curve["coverage"], curve["accuracy"], f"o{line}", markevery=list(stay), label=label, color=colour, **style
        )
    axes.set_xlim(0, 102)
    axes.set_xlabel("accepted utterances (%)")
    axes.set_ylabel("accuracy of accepted utterances (%)")
    title = f"Predictions with a best score below {threshold:.2f} are marked as uncertain"
    outside: dict[str, Any] = {"bbox_to_anchor": (0, 1), "borderaxespad": 0.2, "borderpad": 0, "alignment": "left"}
    axes.legend(loc="lower left", title=title, title_fontsize=10, fontsize=8.5, frameon=False, **outside)
    _clean_axes(axes)
    save_figure(figure, path)


def _describe_curve(curve: pandas.DataFrame, stay: pandas.Index) -> str:
    """Describe the accuracy of all and of the accepted utterances, in percent."""
    parts = [f"{row.accuracy:.1f} % on the accepted {row.coverage:.0f} %" for row in curve.loc[stay].itertuples()]
    return f"accuracy {curve['accuracy'].iloc[0]:.1f} % on all utterances, {(parts or ['none accepted'])[0]}"


def _plot_accuracy(axes: Axes, bins: pandas.DataFrame, colour: str) -> None:
    axes.bar(100 * bins["low"], 100 * bins["accuracy"], 100 / BINS, align="edge", color=colour, edgecolor="white")
    axes.plot([0, 100], [0, 100], color="black", linewidth=1, linestyle="--", label="perfect calibration")
    dots: dict[str, Any] = {"color": "black", "markersize": 3.5, "clip_on": False}
    label = "mean score of the utterances in a bar"
    axes.plot(100 * bins["score"], 100 * bins["accuracy"], "o", label=label, **dots)
    axes.set_ylim(0, 105)


def _plot_counts(axes: Axes, bins: pandas.DataFrame, colour: str) -> None:
    axes.bar(100 * bins["low"], bins["count"], 100 / BINS, align="edge", color=colour, edgecolor="white")
    for row in bins.itertuples():
        place = (100 * (row.low + 0.5 / BINS), row.count)
        axes.annotate(f"{row.count}", place, (0, 1.5), textcoords="offset points", ha="center", fontsize=7)
    axes.set_xlabel("best score (%)")
    axes.set_xlim(0, 100)
    axes.margins(y=0.2)


def _clean_axes(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.92")
    axes.set_axisbelow(True)
