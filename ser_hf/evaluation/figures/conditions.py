"""Draw the scores of a model under degraded conditions."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from ser_hf.evaluation.figures.palette import BLUE, VERMILION
from ser_hf.evaluation.figures.saving import save_figure

CLEAN, DEGRADED = BLUE, VERMILION
NOISES = {
    "white": "white noise",
    "pink": "pink noise",
    "speech_shaped": "speech-shaped noise",
    "babble": "babble of other speakers",
}
TITLES = {
    "telephone": "telephone, 300 to 3400 Hz, mu-law",
    "gsm": "GSM telephone",
    "mp3_32": "MP3, 32 kbit/s",
    "opus_8": "Opus, 8 kbit/s",
    "gain_-30": "30 dB less gain",
    "gain_+12": "12 dB more gain, clipped",
    "silence_1s": "1 s of silence before",
    "cut_1s": "first second only",
    "cut_2s": "first two seconds only",
    "speed_0.9": "0.9 times the speed",
    "speed_1.1": "1.1 times the speed",
}


def plot_conditions(
    rows: Mapping[str, tuple[float, list[float]]], clean: float, label: str, path: str | Path, *, percent: bool
) -> None:
    """Draw a row per condition, from the top: score, and 95 % interval of its change from the clean score.

    Args:
        rows: {condition: (score, [low, high])}; the interval is that of the change, added to the clean score.
        clean: Score without degradation, drawn as a line.
        label: Name of the score.
        path: PNG file to write (150 dpi), in a folder that exists.
        percent: Whether to multiply the scores by 100.
    """
    scale = 100 if percent else 1
    figure = Figure(figsize=(6.4, 0.24 * len(rows) + 0.8))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axvline(scale * clean, color=CLEAN, linewidth=1.5, label=f"without degradation: {scale * clean:.3g}")
    for place, (score, (low, high)) in enumerate(reversed(list(rows.values()))):
        axes.plot([scale * low, scale * high], [place, place], color=DEGRADED, linewidth=2, zorder=2)
        axes.plot(scale * score, place, "o", color=DEGRADED, markersize=5, zorder=3)
    axes.set_yticks(range(len(rows)), [name_condition(name) for name in reversed(list(rows))], fontsize=8)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_xlabel(f"{label}, 95 % interval of the change over test speakers")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="0.9", zorder=0)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, frameon=False, fontsize=8)
    save_figure(figure, path)


def name_condition(name: str) -> str:
    """Return the name of a condition for readers.

    Examples:
        >>> name_condition("babble_10"), name_condition("small_room")
        ('babble of other speakers, SNR 10 dB', 'small room')
    """
    noise, _, snr = name.rpartition("_")
    if noise in NOISES:
        return f"{NOISES[noise]}, SNR {snr} dB"
    return TITLES.get(name, name.replace("_", " "))
