"""Draw example utterances as waveforms and spectrograms.

Shapes: `T` samples at 16 kHz, `F` frames of 10 ms, `M` bands of equal width in mel.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike

from ser_hf.evaluation.figures.saving import save_figure

SAMPLING_RATE = 16_000  # Hz
WINDOW, HOP, FFT = 640, 160, 2048  # samples: 40 ms resolve the harmonics of a voice
BANDS = 160
DEPTH = 70  # dB below the peak that are drawn in the darkest colour
SILENCE = 2**-15  # smallest 16-bit sample, so that silence has a scale too
HERTZ = (0, 500, 1000, 2000, 4000, 8000)
WIDTH, WAVEFORM, SPECTROGRAM, GAP = 8.0, 0.42, 1.0, 0.32  # inches


def plot_gallery(examples: Sequence[tuple[str, np.ndarray]], path: str | Path) -> None:
    """Draw a row per utterance: its waveform over its spectrogram, all rows on one time axis.

    Each waveform is scaled to the height of its row; its peak level is written above it. The frequency axis is in mel,
    colours are dB relative to the peak of the utterance, and the time after its end is grey.

    Args:
        examples: Pairs of a title, such as "angry, speaker 03", and a waveform ``(T,)`` at 16 kHz in [-1, 1]; about
            twelve rows are legible.
        path: PNG file to write (150 dpi), in a folder that exists.

    Raises:
        ValueError: If there is no example.
    """
    if not examples:
        raise ValueError("Expected at least one utterance to draw: found none.")
    row = GAP + WAVEFORM + SPECTROGRAM
    height = row * len(examples)
    figure = Figure(figsize=(WIDTH, height))
    longest = max(len(waveform) for _, waveform in examples) / SAMPLING_RATE
    for place, (title, waveform) in enumerate(examples):
        bottom = height - row * (place + 1)
        lower = figure.add_axes((0, bottom / height, 1, SPECTROGRAM / height))
        upper = figure.add_axes((0, (bottom + SPECTROGRAM) / height, 1, WAVEFORM / height), sharex=lower)
        _plot_waveform(upper, waveform)
        image = _plot_spectrogram(lower, waveform)
        upper.set_title(title, loc="left", fontsize=10, pad=3)
        lower.set_xlim(0, longest)
        lower.tick_params(labelbottom=place == len(examples) - 1)
    lower.set_xlabel("seconds")
    _plot_colours(figure.add_axes((1.02, 0, 0.015, SPECTROGRAM / height)), image)
    save_figure(figure, path)


def _plot_waveform(axes: Axes, waveform: np.ndarray) -> None:
    seconds, peak = len(waveform) / SAMPLING_RATE, max(float(np.abs(waveform).max()), SILENCE)
    axes.plot(np.arange(len(waveform)) / SAMPLING_RATE, waveform, color="0.25", linewidth=0.4)
    axes.set_ylim(-1.05 * peak, 1.05 * peak)
    axes.set_yticks([])
    axes.set_axis_off()
    note = f"{seconds:.2f} s, peak {20 * np.log10(peak):.0f} dB of full scale"
    axes.set_title(note, loc="right", fontsize=8.5, color="0.4", pad=3)


def _plot_spectrogram(axes: Axes, waveform: np.ndarray) -> AxesImage:
    levels = _spectrogram(waveform)
    top = float(to_mel(SAMPLING_RATE / 2))
    extent = (0, len(waveform) / SAMPLING_RATE, 0, top)
    image = axes.imshow(
        levels,
        cmap="magma",
        vmin=-DEPTH,
        vmax=0,
        origin="lower",
        aspect="auto",
        extent=extent,
        interpolation="bilinear",
    )
    axes.set_ylim(0, top)
    axes.set_yticks(to_mel(HERTZ), [str(each) for each in HERTZ], fontsize=7)
    axes.set_ylabel("Hz", fontsize=8)
    axes.set_facecolor("0.93")
    axes.spines[:].set_visible(False)
    return image


def _plot_colours(axes: Axes, image: AxesImage) -> None:
    """Draw the colour scale."""
    axes.figure.colorbar(image, cax=axes, ticks=range(-DEPTH, 1, 10))
    axes.tick_params(labelsize=7)
    axes.set_ylabel("dB relative to peak", fontsize=8)


def _spectrogram(waveform: np.ndarray) -> np.ndarray:
    """Return the levels ``(M, F)`` of a waveform ``(T,)`` in dB relative to the peak, at least -`DEPTH`."""
    padded = np.pad(waveform, WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]  # (F, WINDOW)
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), FFT)) ** 2  # (F, FFT // 2 + 1)
    bands = power @ _band_weights()  # (F, M)
    peak = max(bands.max(), np.finfo(np.float32).tiny)
    return 10 * np.log10(np.maximum(bands.T / peak, 10 ** (-DEPTH / 10)))


def _band_weights() -> np.ndarray:
    """Return the weights ``(FFT // 2 + 1, M)`` of the frequency bins in the mean of each band."""
    edges = to_hertz(np.linspace(0, to_mel(SAMPLING_RATE / 2), BANDS + 1))
    width = SAMPLING_RATE / FFT  # Hz; a bin extends by half of it to both sides
    lower = (np.arange(FFT // 2 + 1) - 0.5)[:, None] * width
    overlap = np.minimum(lower + width, edges[1:]) - np.maximum(lower, edges[:-1])
    return overlap.clip(min=0) / np.diff(edges)


def to_mel(hertz: ArrayLike) -> np.ndarray:
    """Convert frequencies from Hz to mel.

    Source:
        O'Shaughnessy, "Speech Communication: Human and Machine", 1987.
    """
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def to_hertz(mel: ArrayLike) -> np.ndarray:
    """Convert frequencies from mel to Hz."""
    return 700 * (10 ** (np.asarray(mel) / 2595) - 1)
