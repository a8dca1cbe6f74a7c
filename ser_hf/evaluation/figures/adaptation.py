"""Draw the score after adaptation to one voice against the number of clips."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from ser_hf.evaluation.figures.palette import BLUE, GREEN, VERMILION
from ser_hf.evaluation.figures.saving import save_figure

STYLES = ((BLUE, "o-"), (VERMILION, "s--"), (GREEN, "^:"))  # colour, marker and line
MIXES = {
    "as recorded": "emotions as recorded",
    "Dirichlet": "emotions in random shares",
    "neutral only": "neutral clips only",
}


def plot_adaptation(curve: Mapping, path: str | Path) -> None:
    """Draw a line per mix of emotions: UA over the number of clips, with 95 % intervals over speakers.

    Args:
        curve: From `ser_hf.scoring.adaptation.measure_curve`.
        path: PNG file to write (150 dpi), in a folder that exists.
    """
    figure = Figure(figsize=(6.4, 3.6))
    axes = figure.add_axes((0, 0, 1, 1))
    points = curve["points"]
    sizes = sorted({point["clips"] for point in points if point["clips"]})
    places = {size: place for place, size in enumerate([*sizes, None], 1)}
    axes.axhline(100 * curve["without"], color="0.4", linestyle="--", linewidth=1.5, label="without adaptation")
    mixes = dict.fromkeys(point["mix"] for point in points)
    for number, (mix, (colour, style)) in enumerate(zip(mixes, STYLES, strict=False)):
        own = [point for point in points if point["mix"] == mix]
        x = [places[point["clips"]] + 0.08 * (number - 1) for point in own]
        y = [100 * point["ua"] for point in own]
        for place, point in zip(x, own, strict=True):
            axes.plot([place] * 2, [100 * bound for bound in point["interval"]], color=colour, linewidth=1, alpha=0.5)
        axes.plot(x, y, style, color=colour, markersize=5, label=MIXES.get(mix, mix))
    axes.set_xticks(list(places.values()), [*map(str, sizes), "all"])
    axes.set_xlabel("number of clips of the speaker, without labels")
    axes.set_ylabel("UA, mean recall of the emotions (%)\n95 % intervals over test speakers", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.9", zorder=0)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=4, frameon=False, fontsize=8)
    save_figure(figure, path)
