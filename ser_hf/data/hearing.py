"""Preparation of a waveform for the model: trimming of silence, splitting of long audio into overlapping windows.

Shapes: T samples at 16 kHz.
"""

import math
from typing import NamedTuple

import numpy as np

from ser_hf.data.audio import SAMPLING_RATE
from ser_hf.data.silence import remove_pauses, trim_ends
from ser_hf.data.silero import DETECTORS, check_silero

TRIMS = ("none", "ends", "pauses")
RANGES = {"max_duration": (1, 86_400), "window_overlap": (0, 0.9)}  # of stored settings; seconds, fraction of a window


class Hearing(NamedTuple):
    """Hold the settings with which audio is prepared for a model.

    Attributes:
        trim: Silence to remove: "none"; "ends", the silence before and after the speech; "pauses", also long pauses
            within the speech, which are shortened.
        max_duration: Maximum duration of a window in seconds; infinite to leave the audio whole.
        window_overlap: Minimum overlap of consecutive windows as a fraction of a window, from 0 to 0.9.
        speech: How `trim` detects speech: "energy", or "silero" (extra vad).

    Examples:
        >>> Hearing(max_duration=8.0).list_windows(20.0)
        [(0.0, 8.0), (4.0, 12.0), (8.0, 16.0), (12.0, 20.0)]
        >>> Hearing(max_duration=8.0).list_windows(5.0)
        [(0.0, 5.0)]
    """

    trim: str = "none"
    max_duration: float = 30.0
    window_overlap: float = 0.5
    speech: str = "energy"

    @property
    def needs_whole(self) -> bool:
        """Whether a file must be decoded as a whole rather than window by window."""
        return self.trim != "none" or math.isinf(self.max_duration)

    def describe(self) -> dict[str, object]:
        """Return the fields for JSON; an infinite `max_duration` becomes None, because JSON has no infinity."""
        return self._asdict() | {"max_duration": self.max_duration if math.isfinite(self.max_duration) else None}

    def list_windows(self, duration: float) -> list[tuple[float, float]]:
        """Return start and end in seconds of equally long, evenly spaced windows that cover an utterance.

        Args:
            duration: Duration of the utterance in seconds.
        """
        if duration <= self.max_duration:
            return [(0.0, duration)]
        steps = math.ceil((duration - self.max_duration) / (self.max_duration * (1 - self.window_overlap)) - 1e-9)
        hop = (duration - self.max_duration) / steps
        return [(i * hop, i * hop + self.max_duration) for i in range(steps + 1)]

    def cut_windows(self, waveform: np.ndarray) -> list[np.ndarray]:
        """Return the windows of a waveform ``(T,)``; a waveform of at most `max_duration` seconds is one window."""
        windows = self.list_windows(len(waveform) / SAMPLING_RATE)
        return [waveform[round(first * SAMPLING_RATE) : round(last * SAMPLING_RATE)] for first, last in windows]

    def trim_silence(self, waveform: np.ndarray) -> np.ndarray:
        """Return a waveform ``(T,)`` without the silence that `trim` selects.

        Raises:
            ValueError: If `trim` is not "none" and the waveform is empty, not mono or not finite.
            ImportError: If `trim` needs Silero and it is not installed.
        """
        if self.trim == "none":
            return waveform
        first, last = (round(second * SAMPLING_RATE) for second in trim_ends(waveform, self.speech))
        return remove_pauses(waveform[first:last], self.speech) if self.trim == "pauses" else waveform[first:last]


def read_hearing(values: object, name: str) -> Hearing:
    """Return stored settings of a model.

    Args:
        values: Object with any of the fields of `Hearing`, from a JSON file; other keys are left out.
        name: Name of the object, for error messages.

    Raises:
        ValueError: If it is no object, or a field has the wrong type or is out of range.
        ImportError: If the audio is trimmed with Silero and it is not installed.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{name}: expected an object with the keys {sorted(Hearing._fields)}, found {values!r}.")
    found = Hearing(**{field: values[field] for field in Hearing._fields if field in values})
    for field, (low, high) in RANGES.items():
        value = getattr(found, field)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"{name}: {field}: expected {low} to {high}, found {value!r}.")
    if found.trim not in TRIMS:
        raise ValueError(f"{name}: trim: expected one of {list(TRIMS)}, found {found.trim!r}.")
    if found.speech not in DETECTORS:
        raise ValueError(f"{name}: speech: expected one of {list(DETECTORS)}, found {found.speech!r}.")
    if found.trim != "none" and found.speech == "silero":
        check_silero()
    return found


UNTRIMMED = Hearing()  # long audio is split into windows of 30 s
RAW = Hearing(max_duration=math.inf)  # whole and untrimmed, as in the stock pipeline
