"""Draw the scores of each speaker."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ser_hf.evaluation.figures.palette import style_gender
from ser_hf.evaluation.figures.saving import save_figure
from ser_hf.evaluation.predictions import Scores

MOST_NUMBERS = 60  # with more speakers there is no space for numbers


def plot_speakers(summary: Scores, path: str | Path) -> None:
    """Draw the UA of each speaker, sorted, with the overall UA and its 95 % interval.

    Speakers have numbers, from the highest UA, instead of names, because the figure is published; the card uses the
    same numbers.

    Args:
        summary: Result of `ser_hf.evaluation.summarize`.
        path: PNG file to write (150 dpi), in a folder that exists.

    Raises:
        ValueError: If the summary has no speakers.
    """
    speakers = sorted(summary.per_speaker.items(), key=lambda item: item[1]["ua"])
    if not speakers:
        raise ValueError("Expected the scores of at least one speaker: found none in 'per_speaker'.")
    width = min(max(5.2, 0.3 * len(speakers)), 14)  # inches
    figure = Figure(figsize=(width, 2.8))
    axes = figure.add_axes((0, 0, 1, 1))  # the tight box of savefig adds space for labels
    _plot_bars(axes, speakers)
    _plot_overall(axes, summary)
    axes.set_xlim(-0.7, len(speakers) - 0.3)
    axes.set_ylim(0, 100)
    axes.set_xlabel(f"speaker ({len(speakers)}, sorted by UA)")
    axes.set_ylabel("UA, mean recall of the emotions (%)", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=5, frameon=False, fontsize=9)
    save_figure(figure, path)


def _plot_bars(axes: Axes, speakers: list[tuple[str, dict]]) -> None:
    genders = {scores["gender"] for _, scores in speakers}
    for gender in sorted(genders, key=lambda gender: (gender is None, gender)):
        places = [place for place, (_, scores) in enumerate(speakers) if scores["gender"] == gender]
        heights = [100 * speakers[place][1]["ua"] for place in places]
        label = gender or "gender unknown"
        axes.bar(places, heights, width=0.75, label=label, zorder=2, **style_gender(gender))
    ranks = range(len(speakers), 0, -1) if len(speakers) <= MOST_NUMBERS else []
    axes.set_xticks(range(len(ranks)), [str(rank) for rank in ranks])
    axes.tick_params(axis="x", length=0, labelsize=8)


def _plot_overall(axes: Axes, summary: Scores) -> None:
    low, high = (100 * bound for bound in summary.intervals["ua"])
    overall = 100 * summary.ua
    axes.axhline(overall, color="black", linewidth=1.2, zorder=3, label=f"overall UA {overall:.1f} %")
    axes.axhspan(low, high, color="0.88", linewidth=0, zorder=1, label="95 % interval")
