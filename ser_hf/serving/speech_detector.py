"""Detect speech while the audio arrives: by its energy, or with `ser_hf.data.silero`.

The energy rule: as in `ser_hf.data.silence`, the level of a block of 50 ms is its power between 100 and 4000 Hz, and it
is compared with two quantiles of the levels: the noise floor (5 %) and the loud blocks (99 %). Here the quantiles are
those of the audio *so far*. Levels are counted in a histogram with bins of 0.5 dB, so memory does not depend on the
duration. A block is speech if it is more than 2 dB above the floor and less than 50 dB below the loud blocks. For a
single utterance 35 dB are enough, but in a recording calm speech may follow a shout. While floor and loud blocks differ
by less than 6 dB (at the start, or in hum or digital silence), the threshold is -50 dB of full scale instead, which is
above the noise of most microphones.

Source: chosen by measurement on 250 random utterances of RAVDESS, all actors and emotions in one recording. No
utterance is missed, and 2 % are split at a pause of 0.6 s. Compared with `ser_hf.data.silence`, speech typically
starts 0.01 s earlier (5 to 95 %: 0.42 s earlier to 0.03 s later) and ends 0.02 s later (0.09 s earlier to 0.26 s
later). In white noise 20 and 10 dB below the mean power of the recording, 0 and 3 % of the utterances are missed.
"""

from typing import Protocol

import numpy as np
from scipy.signal import butter, sosfilt

from ser_hf.data.silence import ABOVE_FLOOR, FLOOR, LEAST_SPAN, LOUD
from ser_hf.data.silero import DETECTORS, SileroDetector

BLOCK = 0.05  # seconds
BELOW_LOUD = 50.0  # dB
QUIET = -50.0  # dB of full scale
LOWEST, HIGHEST, STEP = -120.0, 20.0, 0.5  # dB of full scale; range and bin width of the histogram


class SpeechDetector(Protocol):
    """Describe what classifies the consecutive blocks of one recording as speech or not."""

    def detect(self, blocks: np.ndarray) -> list[bool]:
        """Return for each of the next N blocks ``(N, T)`` whether it is speech."""


def make_detector(speech: str, sampling_rate: int) -> SpeechDetector:
    """Return a new detector for one recording.

    Args:
        speech: "energy" or "silero".
        sampling_rate: Sampling rate of the blocks in Hz, above 8000; 16000 for "silero".

    Raises:
        ValueError: If the name is another one.
        ImportError: If silero-vad or onnxruntime is needed and not installed.
    """
    if speech not in DETECTORS:
        raise ValueError(f"speech: expected one of {list(DETECTORS)}, found {speech!r}.")
    return SileroDetector() if speech == "silero" else EnergyDetector(sampling_rate)


class EnergyDetector:
    """Classify the consecutive blocks of one recording as speech or silence, by their energy.

    Args:
        sampling_rate: Sampling rate of the blocks in Hz, above 8000.

    Examples:
        >>> EnergyDetector(16_000).detect(np.zeros((2, 800)))  # two blocks of 50 ms
        [False, False]
    """

    def __init__(self, sampling_rate: int):
        self._band = butter(2, (100, 4_000), "bandpass", fs=sampling_rate, output="sos")  # Hz
        self._state = np.zeros((len(self._band), 2))
        self._counts = np.zeros(round((HIGHEST - LOWEST) / STEP) + 1, dtype=int)

    def detect(self, blocks: np.ndarray) -> list[bool]:
        """Return for each of the next N blocks ``(N, T)`` whether it is speech."""
        band, self._state = sosfilt(self._band, blocks.ravel(), zi=self._state)
        power = np.mean(band.reshape(blocks.shape) ** 2, axis=1) + np.finfo(np.float64).tiny
        levels = np.clip(10 * np.log10(power), LOWEST, HIGHEST)
        return [self._stands_out(place) for place in np.rint((levels - LOWEST) / STEP).astype(int)]

    def _stands_out(self, place: int) -> bool:
        self._counts[place] += 1
        so_far = np.cumsum(self._counts)
        floor, loud = np.searchsorted(so_far, np.array([FLOOR, LOUD]) * so_far[-1]) * STEP
        if loud - floor < LEAST_SPAN:
            threshold = QUIET - LOWEST
        else:
            threshold = max(floor + ABOVE_FLOOR, loud - BELOW_LOUD)
        return bool(place * STEP > threshold)
