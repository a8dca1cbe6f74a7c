"""Draw a long recording on one page: waveform, spectrogram and emotion over time.

The recording is read in blocks, so that memory does not grow with its duration.

Shapes: `T` samples, `K` columns of the figure, `M` bands of equal width in mel.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ser_hf.evaluation.figures.palette import BLUE, GREEN, ORANGE, VERMILION
from ser_hf.evaluation.figures.saving import save_figure
from ser_hf.evaluation.figures.spectrograms import DEPTH, HERTZ, SILENCE, to_hertz, to_mel

COLUMNS = 1200  # about one pixel each
FRAME = 0.04  # seconds; resolves the harmonics of a voice
FRAMES = 8  # at most, spectra averaged per column
BANDS = 96
TOP = 8000  # Hz
STEPS = (15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)  # seconds between time labels
# with the rest of Okabe and Ito's, and purple and olive for black and yellow; repeated for more emotions, whose lanes
# differ
COLOURS = (BLUE, ORANGE, GREEN, VERMILION, "#CC79A7", "#56B4E9", "#5D3A9B", "#B8A800")
UNCERTAIN = "0.7"
WIDTH, WAVEFORM, SPECTROGRAM, LANE = 10.0, 0.8, 1.6, 0.24  # inches


class DrawnSegment(Protocol):
    """Describe what is drawn of a segment; times in seconds."""

    start: float
    end: float
    emotion: str
    score: float
    uncertain: bool
    scores: dict[str, float]


class Recording(Protocol):
    """Describe a recording, such as `ser_hf.data.decoder.open_audio` returns."""

    sampling_rate: int  # Hz

    def measure(self) -> int:
        """Return the number of samples per channel."""

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the samples in order, ``(T, channels)``."""


def plot_timeline(
    recording: Recording,
    segments: Sequence[DrawnSegment],
    path: str | Path,
    *,
    scale: tuple[float, float] | None = None,
) -> None:
    """Draw the waveform of a recording, its spectrogram, and a lane with the segments of each emotion.

    The height of a segment is its score, where the full lane is 1; uncertain segments are grey and hatched. With a
    rating scale, each lane has the ratings of all segments on one dimension.

    Args:
        recording: The recording; channels are averaged.
        segments: Segments of the recording, for example from `ser_hf.serving.long_recording.timeline`; without
            segments, one empty lane is drawn.
        path: PNG file to write (150 dpi), in a folder that exists.
        scale: Lowest and highest rating, if the scores are ratings.

    Raises:
        ValueError: If the recording has no samples.
    """
    rate, samples = recording.sampling_rate, recording.measure()
    duration = samples / rate
    step = max(-(-samples // COLUMNS), rate // 200)  # samples
    extremes, bands = _read_columns(_cut_evenly(recording.blocks(), step), step, rate)
    emotions = list(segments[0].scores) if segments else ["no speech"]
    heights = [WAVEFORM, SPECTROGRAM, LANE * (len(emotions) + 0.5)]
    figure = Figure(figsize=(WIDTH, sum(heights) + 0.9), layout="constrained")
    waveform, spectrogram, lanes = figure.subplots(3, 1, sharex=True, height_ratios=heights)
    _plot_recording_waveform(waveform, extremes, step / rate)
    waveform.set_title(f"{_spell_time(duration)} of audio", loc="right", fontsize=8.5, color="0.4", pad=3)
    _plot_recording_spectrogram(spectrogram, bands, len(bands) * step / rate, min(TOP, rate / 2))
    _plot_lanes(lanes, segments, emotions, scale)
    for axes in (waveform, spectrogram, lanes):
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    lanes.set_xlim(0, duration)
    _plot_times(lanes, duration)
    save_figure(figure, path, tight=False)


def _cut_evenly(blocks: Iterable[np.ndarray], step: int) -> Iterator[np.ndarray]:
    """Yield the mean of the channels in columns of `step` samples; the last one is padded with zeros."""
    waiting = np.zeros(0, dtype=np.float32)
    for block in blocks:
        waiting = np.concatenate([waiting, block.mean(axis=1)])
        whole = len(waiting) // step * step
        yield from waiting[:whole].reshape(-1, step)
        waiting = waiting[whole:]
    if len(waiting):
        yield np.pad(waiting, (0, step - len(waiting)))


def _read_columns(parts: Iterable[np.ndarray], step: int, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Return minimum and maximum ``(K, 2)`` and mean power ``(K, M)`` of columns of `step` samples."""
    frame = round(FRAME * rate)
    columns = []
    mono = np.zeros(frame, dtype=np.float32)
    for part in parts:
        mono = np.concatenate([mono[-frame:], part])  # spectra overlap the previous column
        columns.append(((part.min(), part.max()), _measure_bands(mono, step, frame, rate)))
    if not columns:
        raise ValueError("Expected a recording, found no samples.")
    extremes, bands = zip(*columns, strict=True)
    return np.array(extremes), np.array(bands)


def _measure_bands(mono: np.ndarray, step: int, frame: int, rate: int) -> np.ndarray:
    """Return the mean power ``(M,)`` of spectra that start in the first `step` samples."""
    starts = np.linspace(0, step, min(FRAMES, 1 + 2 * step // frame), endpoint=False).astype(int)
    spectra = np.fft.rfft(np.array([mono[start : start + frame] for start in starts]) * np.hanning(frame))
    power = (np.abs(spectra) ** 2).mean(axis=0)
    edges = to_hertz(np.linspace(0, to_mel(min(TOP, rate / 2)), BANDS + 1)) * frame / rate
    bins = np.rint(edges).astype(int).clip(max=len(power) - 1)
    # bands that are narrower than a bin share the bin
    return np.add.reduceat(power, bins[:-1]) / np.diff(bins).clip(min=1)


def _plot_recording_waveform(axes: Axes, extremes: np.ndarray, seconds: float) -> None:
    """Draw the range from minimum to maximum of each column; columns are `seconds` apart."""
    axes.fill_between(seconds * (np.arange(len(extremes)) + 0.5), *extremes.T, color="0.25", linewidth=0.4)
    peak = max(float(np.abs(extremes).max()), SILENCE)
    axes.set_ylim(-1.05 * peak, 1.05 * peak)
    axes.set_yticks([])
    axes.set_title(f"peak {100 * peak:.0f} % of full scale", loc="left", fontsize=8.5, color="0.4", pad=3)


def _plot_recording_spectrogram(axes: Axes, bands: np.ndarray, seconds: float, top: float) -> None:
    """Draw levels in dB up to `top` Hz, relative to the 99 % quantile, so that loud sounds do not hide the rest."""
    peak = max(np.quantile(bands, 0.99), np.finfo(np.float32).tiny)
    levels = 10 * np.log10(np.maximum(bands.T / peak, 10 ** (-DEPTH / 10)))
    extent = (0, seconds, 0, float(to_mel(top)))
    axes.imshow(levels, cmap="magma", vmin=-DEPTH, vmax=0, origin="lower", aspect="auto", extent=extent)
    hertz = [each for each in HERTZ if each <= top]
    axes.set_yticks(to_mel(hertz), [str(each) for each in hertz], fontsize=7)
    axes.set_ylabel("Hz", fontsize=8)


def _plot_lanes(
    axes: Axes, segments: Sequence[DrawnSegment], emotions: Sequence[str], scale: tuple[float, float] | None
) -> None:
    low, high = scale or (0, 1)
    for place, emotion in enumerate(emotions):
        of_emotion = [segment for segment in segments if scale or segment.emotion == emotion]
        for uncertain in (False, True):
            bars = [segment for segment in of_emotion if segment.uncertain == uncertain]
            axes.bar(
                [bar.start for bar in bars],
                [0.9 * (bar.scores[emotion] - low) / (high - low) for bar in bars],
                [bar.end - bar.start for bar in bars],
                len(emotions) - 1 - place,  # the first emotion on top
                align="edge",
                color=UNCERTAIN if uncertain else COLOURS[place % len(COLOURS)],
                hatch="////" if uncertain else None,
                edgecolor="0.45" if uncertain else None,
                linewidth=0,
                snap=False,  # segments narrower than a pixel are drawn lighter, not left out
            )
    names = [f"{emotion}, {low:g} to {high:g}" if scale else emotion for emotion in reversed(emotions)]
    axes.set_yticks(np.arange(len(emotions)) + 0.45, names, fontsize=8.5)
    axes.set_ylim(-0.15, len(emotions) - 0.05)
    axes.hlines(range(len(emotions)), 0, 1, transform=axes.get_yaxis_transform(), color="0.85", linewidth=0.6, zorder=0)
    if any(segment.uncertain for segment in segments):
        axes.bar(0, 0, color=UNCERTAIN, hatch="////", edgecolor="0.45", linewidth=0, label="uncertain: low score")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.1, frameon=False, fontsize=8.5)


def _plot_times(axes: Axes, duration: float) -> None:
    """Label the time axis in seconds for a short recording, in minutes or hours for a long one."""
    if duration < 120:
        axes.set_xlabel("seconds", fontsize=8.5)
        return
    step = next((step for step in STEPS if duration / step <= 10), STEPS[-1])
    places = np.arange(0, duration, step)
    axes.set_xticks(places, [_spell_time(place) for place in places])


def _spell_time(seconds: float) -> str:
    """Format a time in seconds.

    Examples:
        >>> _spell_time(3.25), _spell_time(90), _spell_time(7200)
        ('3.2 s', '1:30', '2:00:00')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds else "0"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
