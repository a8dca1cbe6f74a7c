"""From dataset rows to mini-batches, with one collator for every architecture.

Shapes: B batch, T samples, F frames, M mel bins.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from transformers import ASTFeatureExtractor, BatchFeature, SequenceFeatureExtractor, WhisperFeatureExtractor

from ser_hf.data.audio import SAMPLING_RATE
from ser_hf.data.augment import Augmentation
from ser_hf.data.dataset import load_row
from ser_hf.data.masking import SpectrogramMask
from ser_hf.data.mixup import Mixup
from ser_hf.data.preparation import MIN_DURATION, SHORTEST

MIN_SAMPLES = round(MIN_DURATION * SAMPLING_RATE)
SHORTEST_SAMPLES = round(SHORTEST * SAMPLING_RATE)
FIXED_LENGTH = (WhisperFeatureExtractor, ASTFeatureExtractor)  # they pad or truncate to a fixed length themselves


def extract_features(feature_extractor: SequenceFeatureExtractor, waveforms: Sequence[np.ndarray]) -> BatchFeature:
    """Run the feature extractor on a mini-batch, zero-padded to its longest utterance and to at least 50 ms.

    Args:
        feature_extractor: The feature extractor of the checkpoint.
        waveforms: B arrays ``(T,)`` float32 at 16 kHz.

    Returns:
        The model inputs: `input_values` or `input_features`, and `attention_mask` if the architecture uses one.
    """
    padding = {} if isinstance(feature_extractor, FIXED_LENGTH) else {"padding": True}
    waveforms = [_pad(waveform, SHORTEST_SAMPLES) for waveform in waveforms]
    return feature_extractor(waveforms, sampling_rate=SAMPLING_RATE, return_tensors="pt", **padding)  # type: ignore[operator]


class Collator:
    """Decode dataset rows, augment those of the training part, and extract features for a mini-batch.

    Args:
        feature_extractor: The feature extractor of the checkpoint.
        augment: From `build_augmentation`; None for no augmentation.
        mixup: Applied to mini-batches of training rows; None for no mixup.
        mask: SpecAugment for architectures with spectrogram inputs whose stock class has none; None for no masking.
        seed: The same seed, epoch and utterance give the same augmentation.
        ratings: Dimensions whose ratings follow the labels of training rows, nan if missing; empty for none.

    Attributes:
        epoch: The current epoch, written by the trainer; in shared memory, so that data loader workers can read it.
        load_states: Returns the model inputs of training rows, outputs of the frozen part of the model, set by the
            trainer; None if the model computes them itself.
    """

    def __init__(
        self,
        feature_extractor: SequenceFeatureExtractor,
        *,
        augment: Augmentation | None = None,
        mixup: Mixup | None = None,
        mask: SpectrogramMask | None = None,
        seed: int = 0,
        ratings: Sequence[str] = (),
    ):
        self.feature_extractor = feature_extractor
        self.augment = augment
        self.mixup = mixup
        self.mask = mask
        self.seed = seed
        self.ratings = ratings
        self.epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self.load_states: Callable[[list[dict]], BatchFeature] | None = None

    def __call__(self, rows: list[dict]) -> BatchFeature:
        """Return the model inputs and `labels`: the column `label`, or class weights ``(B, C)`` after mixup.

        With `ratings`, the labels of training rows are ``(B, 1 + D)`` or ``(B, C + D)``.
        """
        if self.load_states is not None and all(row["split"] == "train" for row in rows):
            batch = self.load_states(rows)
            batch["labels"] = self._append_ratings(torch.tensor([row["label"] for row in rows]), rows)
            return batch
        waveforms = [self._waveform(row) for row in rows]
        labels = torch.tensor([row["label"] for row in rows])
        if self.mixup is not None and all(row["split"] == "train" for row in rows):
            waveforms, labels = self.mixup(waveforms, labels.tolist(), seed=self._seed(rows[0]))
        # SpecAugment, which is applied in training only, needs longer audio than the model itself.
        least = [MIN_SAMPLES if row["split"] == "train" else SHORTEST_SAMPLES for row in rows]
        batch = extract_features(self.feature_extractor, list(map(_pad, waveforms, least)))
        if self.mask is not None:
            for i, row in enumerate(rows):
                if row["split"] == "train":
                    seconds = len(waveforms[i]) / SAMPLING_RATE
                    self.mask(batch, i, seconds, seed=self._seed(row))
        batch["labels"] = self._append_ratings(labels, rows)
        return batch

    def _append_ratings(self, labels: torch.Tensor, rows: list[dict]) -> torch.Tensor:
        if not self.ratings or rows[0]["split"] != "train":
            return labels
        ratings = [[math.nan if row[name] is None else row[name] for name in self.ratings] for row in rows]
        return torch.cat([labels.reshape(len(rows), -1).float(), torch.tensor(ratings)], dim=1)

    def _waveform(self, row: dict) -> np.ndarray:
        waveform = load_row(row)
        if self.augment is not None and row["split"] == "train":
            waveform = self.augment(waveform, self._seed(row))
        return waveform

    def _seed(self, row: dict) -> tuple[int, int, int]:
        return self.seed, int(self.epoch), row["index"]


def _pad(waveform: np.ndarray, samples: int) -> np.ndarray:
    return np.pad(waveform, (0, max(0, samples - len(waveform))))
