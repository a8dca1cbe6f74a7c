"""Measure level, bandwidth, noise, length and share of speech of recordings."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from scipy import signal

from ser_hf.data.audio import SAMPLING_RATE
from ser_hf.data.silence import find_speech

FRAME = 512  # samples, 32 ms
BELOW_PEAK = 60.0  # dB; what is further below the strongest frequency does not count for the bandwidth
LOUD = 0.95  # quantile of the frames' power
SMALLEST = 1e-20  # power
MOST_CONTRAST = 80.0  # dB; more, such as above digital silence, makes no difference
QUANTILES = (0.05, 0.5, 0.95)
UNITS = {"duration": "s", "level": "dB", "bandwidth": "Hz", "contrast": "dB", "speech": "%"}


def measure_properties(waveform: np.ndarray) -> dict[str, float]:
    """Return the properties of a recording, with the keys of `UNITS`.

    - duration: in seconds;
    - level: of the speech, in dB below full scale (a sine wave of full scale has -3 dB);
    - bandwidth: highest frequency in Hz whose power in loud frames is at most 60 dB below the strongest frequency's;
    - contrast: level of loud frames above quiet frames in dB, which is small in noise and in music;
    - speech: share of the duration that is speech, in percent, see `find_speech`.

    Args:
        waveform: ``(T,)`` samples at 16 kHz.

    Examples:
        >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)
        >>> {name: round(value) for name, value in measure_properties(0.1 * tone).items()}
        {'duration': 1, 'level': -23, 'bandwidth': 1031, 'contrast': 0, 'speech': 100}
    """
    segments = find_speech(waveform)
    pieces = [waveform[round(start * SAMPLING_RATE) : round(end * SAMPLING_RATE)] for start, end in segments]
    duration = len(waveform) / SAMPLING_RATE
    size = min(FRAME, len(waveform))
    hertz, _, power = signal.spectrogram(waveform, SAMPLING_RATE, "hann", size, size // 2, nfft=FRAME)
    loud = _decibels(np.quantile(power, LOUD, axis=1))
    frames = _decibels(power.sum(0))
    quiet, strong = np.quantile(frames, [1 - LOUD, LOUD])
    return {
        "duration": duration,
        "level": float(_decibels(np.mean(np.concatenate(pieces) ** 2))),
        "bandwidth": float(hertz[loud >= loud.max() - BELOW_PEAK].max()),
        "contrast": min(float(strong - quiet), MOST_CONTRAST),
        "speech": 100 * sum(end - start for start, end in segments) / duration,
    }


def summarize_properties(measured: Iterable[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return the 5 %, 50 % and 95 % quantile of each property."""
    rows = list(measured)
    return {name: np.quantile([row[name] for row in rows], QUANTILES).tolist() for name in UNITS}


def _decibels(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, SMALLEST))
