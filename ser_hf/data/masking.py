"""SpecAugment in the collator, for spectrogram models whose stock class lacks it.

Shapes: F frames, M mel bins.
"""

import numpy as np
from transformers import BatchFeature


class SpectrogramMask:
    """Mask random time spans and frequency bands of spectrograms in place.

    Args:
        time_prob: Fraction of the frames to mask, from 0 to 1 (less where spans overlap).
        time_length: Length of a span in frames of 10 ms.
        feature_prob: Fraction of the mel bins to mask, from 0 to 1 (less where bands overlap).
        feature_length: Width of a band in mel bins.

    Source: Park et al. 2019, SpecAugment, https://arxiv.org/abs/1904.08779

    Examples:
        >>> batch = BatchFeature({"input_features": np.random.default_rng(0).random((1, 80, 300))})  # (B, M, F)
        >>> before = batch["input_features"].copy()
        >>> SpectrogramMask(time_prob=0.1, time_length=30)(batch, 0, seconds=3.0, seed=(0,))
        >>> int((batch["input_features"] != before).all(axis=(0, 1)).sum())  # masked frames
        30
    """

    def __init__(
        self, *, time_prob: float = 0.0, time_length: int = 10, feature_prob: float = 0.0, feature_length: int = 10
    ):
        self.time_prob = time_prob
        self.time_length = time_length
        self.feature_prob = feature_prob
        self.feature_length = feature_length

    def __call__(self, batch: BatchFeature, row: int, seconds: float, *, seed: tuple[int, ...]) -> None:
        """Replace spans of one utterance by the mean of its spectrogram; padded frames are not masked.

        Args:
            batch: Output of the feature extractor, changed in place.
            row: Number of the utterance in the mini-batch.
            seconds: Duration of the utterance without padding.
            seed: The same seed gives the same mask.
        """
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
        """Return the start of each span; their number is `prob * size / length`, rounded up or down at random."""
        count = int(prob * size / length + rng.random())
        return rng.integers(0, max(1, size - length + 1), count)
