"""Draw the trials of a hyperparameter search."""

from pathlib import Path

import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from ser_hf.evaluation.figures.palette import BLUE, VERMILION
from ser_hf.evaluation.figures.saving import save_figure

TRIAL, BEST = BLUE, VERMILION
MEAN = "0.6"
NOT_SETTINGS = ("trial", "ua", "seconds", "recipe")
COLUMNS, WIDTH, HEIGHT = 5, 2.0, 2.1  # panels per row, inches per panel


def plot_sweep(table: pandas.DataFrame, path: str | Path) -> None:
    """Draw the validation UA of each trial and the best so far, and below it the UA against each hyperparameter.

    Args:
        table: One row per finished trial: its number `trial`, `ua`, `seconds`, `recipe` (whether its hyperparameters
            are those of the recipe), and one column per hyperparameter, a missing value if it is off.
        path: PNG file to write (150 dpi), in a folder that exists.

    Raises:
        ValueError: If no trial is finished.

    Examples:
        >>> import tempfile
        >>> table = pandas.DataFrame({"trial": [0, 1], "ua": [0.5, 0.6], "recipe": [True, False], "pitch": [None, 2.0]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     plot_sweep(table, Path(folder) / "sweep.png")
    """
    if table.empty:
        raise ValueError("Expected at least one finished trial: found none.")
    table = table.sort_values("trial", ignore_index=True)
    table = table.assign(ua=100 * table["ua"])
    settings = [name for name in table if name not in NOT_SETTINGS]
    rows = -(-len(settings) // COLUMNS)
    figure = Figure(figsize=(COLUMNS * WIDTH, (rows + 1.2) * HEIGHT), layout="constrained")
    grid = figure.add_gridspec(rows + 1, COLUMNS, height_ratios=[1.2] + rows * [1])
    course = figure.add_subplot(grid[0, :])
    _plot_course(course, table)
    for place, name in enumerate(settings):
        axes = figure.add_subplot(grid[1 + place // COLUMNS, place % COLUMNS], sharey=course)
        _plot_setting(axes, table, name)
        axes.tick_params(labelleft=place % COLUMNS == 0, labelsize=7.5)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="0.92")
        axes.set_axisbelow(True)
    save_figure(figure, path)


def _plot_course(axes: Axes, table: pandas.DataFrame) -> None:
    best = table.loc[table["ua"].idxmax()]
    own = table[table["recipe"]]
    axes.plot(table["trial"], table["ua"], "o", color=TRIAL, markersize=5, label="trial")
    axes.step(table["trial"], table["ua"].cummax(), where="post", color=BEST, linewidth=1.2, label="best so far")
    axes.plot(best["trial"], best["ua"], "*", color=BEST, markersize=15, markeredgecolor="white")
    if len(own):
        axes.axhline(own["ua"].iloc[0], color="0.5", linewidth=1, linestyle="--", zorder=0, label="the recipe itself")
    axes.plot([], [], color=MEAN, linewidth=1.5, label="mean per value")
    axes.set_title("UA, mean recall of the emotions, on validation speakers (%)", loc="left", fontsize=10)
    axes.set_title(f"best {best['ua']:.1f} %, trial {best['trial']}", loc="right", color=BEST, fontsize=10)
    axes.set_xlabel("trial")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.12), borderaxespad=0, ncols=4, frameon=False, fontsize=8.5)


def _plot_setting(axes: Axes, table: pandas.DataFrame, name: str) -> None:
    """Draw the UA of the trials against a learning rate (log scale) or the values of any other hyperparameter."""
    if name.endswith("learning_rate"):
        places = table[name]
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3), numticks=9))
        axes.xaxis.set_major_formatter("{x:.0e}")
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        choices = sorted(table[name].unique(), key=lambda choice: (pandas.notna(choice), choice))
        places = table[name].map({choice: place for place, choice in enumerate(choices)})
        axes.set_xticks(range(len(choices)), map(_spell_setting, choices))
        axes.set_xlim(-0.6, len(choices) - 0.4)
        axes.hlines(table.groupby(places)["ua"].mean(), *_around(len(choices)), color=MEAN, linewidth=1.5, zorder=1)
    best = table["ua"].idxmax()
    axes.plot(places, table["ua"], "o", color=TRIAL, markersize=4, alpha=0.7)
    axes.plot(places[best], table["ua"][best], "*", color=BEST, markersize=11, markeredgecolor="white")
    axes.set_title(name, loc="left", fontsize=8.5)


def _around(count: int) -> tuple[list[float], list[float]]:
    """Return start and end of a short line at each of `count` values."""
    return [place - 0.3 for place in range(count)], [place + 0.3 for place in range(count)]


def _spell_setting(choice: str | float | None) -> str:
    if pandas.isna(choice):
        return "none"
    return choice.replace("_", "\n") if isinstance(choice, str) else f"{choice:g}"
