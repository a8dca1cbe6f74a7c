"""Draw an overview of a corpus."""

from pathlib import Path

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from ser_hf.evaluation.figures.palette import GREEN, style_gender
from ser_hf.evaluation.figures.saving import save_figure

DURATIONS = GREEN  # not the colour of a gender
BAR, LOWER = 0.3, 2.1  # inches: height of the bar of an emotion, and of the lower panels
MOST_NAMES, LONGEST_NAME, LINE = 30, 12, 75  # limits: speakers, characters per name, characters per line


def plot_corpus(table: pandas.DataFrame, path: str | Path) -> None:
    """Draw the utterances of each emotion by gender, the durations, and the utterances of each known speaker.

    Durations longer than twice the 95 % quantile are counted in the last bar; the axis label gives their number.

    Args:
        table: One row per utterance with `corpus`, `emotion`, `speaker`, `gender` and `duration` (seconds), for example
            from `ser_hf.data.summary.read_headers`; `speaker`, `gender` and `duration` may be missing values.
        path: PNG file to write (150 dpi), in a folder that exists.

    Raises:
        ValueError: If no utterance has a duration.
    """
    durations = table["duration"].dropna().to_numpy(float)
    if not len(durations):
        raise ValueError(f"Expected the duration of at least one utterance: found none in {len(table)} rows.")
    table = table.assign(gender=table["gender"].fillna("unknown gender"))
    known = table.dropna(subset="speaker")
    height = BAR * (table["emotion"].nunique() + 0.4)
    padding = ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.08)
    figure = Figure(figsize=(9, height + LOWER + 1.5), layout=padding)
    _write_headline(figure, table)
    axes = figure.subplot_mosaic(
        [["emotions", "emotions"], ["durations", "speakers" if len(known) else "durations"]],
        height_ratios=[height, LOWER],
    )
    _plot_emotions(axes["emotions"], table)
    _plot_durations(axes["durations"], durations)
    if len(known):
        _plot_speakers(axes["speakers"], known, len(table))
    for panel in axes.values():
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_axisbelow(True)
    save_figure(figure, path)


def _write_headline(figure: Figure, table: pandas.DataFrame) -> None:
    numbers = {
        "utterances": len(table),
        "hours": f"{table['duration'].sum() / 3600:.2f}",
        "emotions": table["emotion"].nunique(),
        "speakers": table.groupby(["corpus", "speaker"]).ngroups or "unknown",
    }
    figure.suptitle("      ".join(f"{name} {number}" for name, number in numbers.items()), fontsize=11)


def _plot_emotions(axes: Axes, table: pandas.DataFrame) -> None:
    """Draw one bar per emotion, the most frequent on top, divided by gender."""
    counts = pandas.crosstab(table["emotion"], table["gender"])  # columns are sorted: unknown gender is last
    totals = counts.sum(axis=1).sort_values(ascending=False, kind="stable")
    left = np.zeros(len(totals))
    for gender in counts:
        widths = counts.loc[totals.index, gender].to_numpy()
        axes.barh(range(len(totals)), widths, 0.75, left, label=gender, **style_gender(gender))
        left += widths
    for place, total in enumerate(totals):
        note = f"{total}  ({100 * total / len(table):.1f} %)"
        axes.annotate(note, (total, place), (4, 0), textcoords="offset points", va="center", fontsize=8.5, color="0.3")
    axes.set_yticks(range(len(totals)), totals.index)
    axes.set_ylim(len(totals) - 0.3, -0.7)
    axes.set_xlim(0, 1.13 * totals.max())  # space for the notes
    axes.set_xticks([])  # the notes give the numbers
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_title("Utterances per emotion", loc="left", fontsize=10)
    style = {"ncols": 4, "columnspacing": 1.2, "handlelength": 1.2, "frameon": False, "fontsize": 9}
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.1, **style)


def _plot_durations(axes: Axes, durations: np.ndarray) -> None:
    last = min(durations.max(), 2 * np.quantile(durations, 0.95))
    axes.hist(durations.clip(max=last), bins=30, color=DURATIONS)
    median = np.median(durations)
    axes.axvline(median, color="black", linewidth=1.2)
    longer = int((durations > last).sum())
    axes.set_xlabel(f"seconds (last bar: {longer} of up to {durations.max():.0f} s)" if longer else "seconds")
    axes.set_title("Utterances per duration", loc="left", fontsize=10)
    axes.set_title(f"median {median:.2f} s", loc="right", fontsize=9)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))


def _plot_speakers(axes: Axes, known: pandas.DataFrame, utterances: int) -> None:
    """Draw one bar per speaker, sorted within each gender, so that colours stay visible with many speakers."""
    counts = known.groupby(["corpus", "speaker"]).agg(gender=("gender", "first"), utterances=("gender", "size"))
    counts = counts.reset_index().sort_values(["gender", "utterances"], ascending=[True, False], kind="stable")
    several = counts["corpus"].nunique() > 1
    names = list(counts["corpus"] + "/" + counts["speaker"] if several else counts["speaker"])
    few = len(names) <= MOST_NAMES
    for gender in counts["gender"].unique():
        places = np.flatnonzero(counts["gender"] == gender)
        axes.bar(places, counts["utterances"].iloc[places], 0.75 if few else 1, **style_gender(gender))
    if few and max(map(len, names)) <= LONGEST_NAME:
        axes.set_xticks(range(len(names)), names, rotation=90 if len(" ".join(names)) > LINE else 0)
    else:
        axes.set_xticks([])
    axes.tick_params(axis="x", length=0, labelsize=7)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlim(-0.7, len(names) - 0.3)
    unknown = utterances - len(known)
    axes.set_xlabel(f"speaker (unknown for {unknown} utterances)" if unknown else "speaker", labelpad=6)
    axes.set_title("Utterances per speaker", loc="left", fontsize=10)
