"""SpecAugment in the collator, for spectrogram models whose stock class does not mask.

Shapes: F frames, M mel bins.
"""

import numpy as np
from transformers import BatchFeature


class SpectrogramMask:
    """Mask spans of time and of frequency in place, where the stock class has no SpecAugment of its own.

    Source: Park et al. 2019, SpecAugment, https://arxiv.org/abs/1904.08779

    Args:
        time_prob: Share of the frames that is masked (overlaps make it less).
        time_length: Length of a span in frames of 10 ms.
        feature_prob: Share of the mel bins that is masked.
        feature_length: Width of a band in mel bins.
    """

    def __init__(
        self, *, time_prob: float = 0.0, time_length: int = 10, feature_prob: float = 0.0, feature_length: int = 10
    ):
        self.time_prob = time_prob
        self.time_length = time_length
        self.feature_prob = feature_prob
        self.feature_length = feature_length

    def __call__(self, batch: BatchFeature, row: int, seconds: float, *, seed: tuple[int, ...]) -> None:
        """Mask one utterance of a batch within its real frames, by its own mean."""
        rng = np.random.default_rng(seed)
        if "input_features" in batch:
            spectrogram = batch["input_features"][row].T  # Whisper (M, F) -> view (F, M)
        else:
            spectrogram = batch["input_values"][row]  # AST (F, M)
        frames = min(len(spectrogram), max(1, round(seconds * 100)))
        mean = spectrogram[:frames].mean()
        for first in self._starts(rng, frames, self.time_prob, self.time_length):
            spectrogram[first : min(first + self.time_length, frames)] = mean
        bins = spectrogram.shape[1]
        for first in self._starts(rng, bins, self.feature_prob, self.feature_length):
            spectrogram[:, first : first + self.feature_length] = mean

    @staticmethod
    def _starts(rng: np.random.Generator, size: int, prob: float, length: int) -> np.ndarray:
        """Return where spans begin; their number is `prob * size / length`, rounded up or down by chance."""
        count = int(prob * size / length + rng.random())
        return rng.integers(0, max(1, size - length + 1), count)
