"""What is done to a waveform before the model: silence is trimmed, long audio is cut into overlapping windows.

Shapes: T samples at 16 kHz.
"""

import math
from typing import NamedTuple

import numpy as np

from ser_hf.data.audio import SAMPLING_RATE
from ser_hf.data.silence import remove_pauses, trim_ends

TRIMS = ("none", "ends", "pauses")


class Hearing(NamedTuple):
    """How audio is prepared for a model.

    Attributes:
        trim: Silence that is removed: "none"; "ends", that before and after the speech; "pauses", which also shortens
            the silences inside.
        max_duration: Longest window in seconds; infinite where the audio stays whole.
        window_overlap: Share of a window that the next one repeats, at least; from 0 to 0.9.

    Examples:
        >>> Hearing(max_duration=8.0).list_windows(20.0)
        [(0.0, 8.0), (4.0, 12.0), (8.0, 16.0), (12.0, 20.0)]
        >>> Hearing(max_duration=8.0).list_windows(5.0)
        [(0.0, 5.0)]
    """

    trim: str = "none"
    max_duration: float = 30.0
    window_overlap: float = 0.5

    @property
    def needs_whole(self) -> bool:
        """Whether a file cannot be decoded window by window."""
        return self.trim != "none" or math.isinf(self.max_duration)

    def describe(self) -> dict[str, object]:
        """Return the fields for JSON, which has no infinity: None stands for it."""
        return self._asdict() | {"max_duration": self.max_duration if math.isfinite(self.max_duration) else None}

    def list_windows(self, duration: float) -> list[tuple[float, float]]:
        """Return first and last second of the windows that cover `duration` seconds, evenly spaced, equally long."""
        if duration <= self.max_duration:
            return [(0.0, duration)]
        steps = math.ceil((duration - self.max_duration) / (self.max_duration * (1 - self.window_overlap)) - 1e-9)
        hop = (duration - self.max_duration) / steps
        return [(i * hop, i * hop + self.max_duration) for i in range(steps + 1)]

    def cut_windows(self, waveform: np.ndarray) -> list[np.ndarray]:
        """Return the windows of a waveform ``(T,)``; a short waveform is one window."""
        windows = self.list_windows(len(waveform) / SAMPLING_RATE)
        return [waveform[round(first * SAMPLING_RATE) : round(last * SAMPLING_RATE)] for first, last in windows]

    def trim_silence(self, waveform: np.ndarray) -> np.ndarray:
        """Return a waveform ``(T,)`` without the silence that `trim` names.

        Raises:
            ValueError: If there is silence to trim and the waveform is empty, not mono or not finite.
        """
        if self.trim == "none":
            return waveform
        first, last = (round(second * SAMPLING_RATE) for second in trim_ends(waveform))
        return remove_pauses(waveform[first:last]) if self.trim == "pauses" else waveform[first:last]


UNTRIMMED = Hearing()  # long audio in windows of 30 s
RAW = Hearing(max_duration=math.inf)  # as the stock pipeline receives audio
