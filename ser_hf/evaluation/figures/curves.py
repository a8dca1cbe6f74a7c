"""Draw the learning curves of a training run."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ser_hf.evaluation.figures.palette import BLUE, VERMILION
from ser_hf.evaluation.figures.saving import save_figure

TRAINING, VALIDATION = BLUE, VERMILION


def plot_curves(
    log_history: list[dict],
    path: str | Path,
    *,
    best_epoch: float | None = None,
    metric: str = "ua",
    title: str = "UA",
    percent: bool = True,
) -> None:
    """Draw the loss and a metric on validation utterances over epochs, and mark the epoch of the saved checkpoint.

    Args:
        log_history: `state.log_history` of the Trainer: entries with `epoch` and either `loss` (training) or
            `eval_loss` and `eval_<metric>` (validation). Other entries are ignored.
        path: PNG file to write (150 dpi), in a folder that exists.
        best_epoch: Epoch of the saved checkpoint; None for the first epoch with the highest metric.
        metric: Name of the metric, of which 1 is the best value.
        title: Name of the metric in the figure.
        percent: Whether the metric is shown in percent.

    Raises:
        ValueError: If no entry has the metric.

    Examples:
        >>> import tempfile
        >>> log_history = [{"epoch": 0.5, "loss": 2.1}, {"epoch": 1.0, "eval_loss": 1.9, "eval_ua": 0.4}]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     plot_curves(log_history, Path(folder) / "curves.png")
    """
    evaluations = [entry for entry in log_history if f"eval_{metric}" in entry]
    if not evaluations:
        keys = sorted({key for entry in log_history for key in entry})
        raise ValueError(
            f"Expected log entries with 'eval_{metric}': found {keys}. Was the model evaluated during training?"
        )
    kept = [entry for entry in evaluations if entry["epoch"] == best_epoch]
    best = max(kept or evaluations, key=lambda entry: entry[f"eval_{metric}"])
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    loss_axes, metric_axes = figure.subplots(ncols=2)
    _plot_loss(loss_axes, log_history)
    values = [(entry["epoch"], entry[f"eval_{metric}"]) for entry in evaluations]
    _plot_metric(metric_axes, values, (best["epoch"], best[f"eval_{metric}"]), title, percent=percent)
    for axes in (loss_axes, metric_axes):
        axes.axvline(best["epoch"], color="0.6", linewidth=1, linestyle=":", zorder=0)
        _strip_axes(axes)
    metric_axes.set_ylim(bottom=min(0, *(value for _, value in values)))  # some metrics can be negative
    save_figure(figure, path)


def _plot_loss(axes: Axes, log_history: list[dict]) -> None:
    training = [(entry["epoch"], entry["loss"]) for entry in log_history if "loss" in entry]
    validation = [(entry["epoch"], entry["eval_loss"]) for entry in log_history if "eval_loss" in entry]
    axes.plot(*np.reshape(training, (-1, 2)).T, color=TRAINING, label="training")
    axes.plot(*np.reshape(validation, (-1, 2)).T, "o-", color=VALIDATION, markersize=4, label="validation")
    axes.set_title("Loss", loc="left")
    axes.legend(frameon=False)


def _plot_metric(
    axes: Axes, values: list[tuple[float, float]], best: tuple[float, float], title: str, *, percent: bool
) -> None:
    """Draw (epoch, value) pairs of a metric and a star at the best one."""
    scale, unit, decimals = (100, " %", 1) if percent else (1, "", 3)
    epochs, heights = np.multiply(values, (1, scale)).T
    axes.plot(epochs, heights, "o-", color=VALIDATION, markersize=4)
    axes.plot(best[0], scale * best[1], "*", color=VALIDATION, markersize=15, markeredgecolor="white")
    axes.set_ylim(top=scale)
    axes.set_title(f"Validation {title}{' (%)' if percent else ''}", loc="left")
    note = f"best {scale * best[1]:.{decimals}f}{unit} at epoch {best[0]:.4g}"
    axes.set_title(note, loc="right", color=VALIDATION, fontsize=10)


def _strip_axes(axes: Axes) -> None:
    axes.set_xlabel("epoch")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.92")
    axes.set_axisbelow(True)
