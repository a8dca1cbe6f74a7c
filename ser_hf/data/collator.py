"""Dataset rows -> batches, with one collator for every architecture.

Shapes: B batch, T samples, F frames, M mel bins.
"""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import ASTFeatureExtractor, BatchFeature, SequenceFeatureExtractor, WhisperFeatureExtractor

from ser_hf.data.audio import SAMPLING_RATE
from ser_hf.data.augment import Augmentation
from ser_hf.data.dataset import MIN_DURATION, SHORTEST, load_row
from ser_hf.data.masking import SpectrogramMask
from ser_hf.data.mixup import Mixup

MIN_SAMPLES = round(MIN_DURATION * SAMPLING_RATE)
SHORTEST_SAMPLES = round(SHORTEST * SAMPLING_RATE)
FIXED_LENGTH = (WhisperFeatureExtractor, ASTFeatureExtractor)  # pad and cut to their own length by themselves


def extract_features(feature_extractor: SequenceFeatureExtractor, waveforms: Sequence[np.ndarray]) -> BatchFeature:
    """Run the feature extractor on a whole batch, padded to its longest utterance, and to 50 ms at least.

    Args:
        feature_extractor: As saved in the checkpoint.
        waveforms: B arrays ``(T,)`` float32 at 16 kHz.

    Returns:
        What the model takes: `input_values` or `input_features`, and `attention_mask` where it has one.
    """
    padding = {} if isinstance(feature_extractor, FIXED_LENGTH) else {"padding": True}
    waveforms = [_pad(waveform, SHORTEST_SAMPLES) for waveform in waveforms]
    return feature_extractor(waveforms, sampling_rate=SAMPLING_RATE, return_tensors="pt", **padding)


class Collator:
    """Decode, augment (rows of the train split only) and extract features for a list of dataset rows.

    Args:
        feature_extractor: As saved in the checkpoint.
        augment: From `build_augmentation`; None leaves the waveforms as they are.
        mixup: From `Mixup`; None blends no utterances.
        mask: From `SpectrogramMask`, for architectures that take spectrograms and do not mask by themselves.
        seed: Same seed, epoch and utterance: same augmentation.

    Attributes:
        epoch: Tensor in shared memory, so that loader workers see the epoch which the trainer writes here.
    """

    def __init__(
        self,
        feature_extractor: SequenceFeatureExtractor,
        *,
        augment: Augmentation | None = None,
        mixup: Mixup | None = None,
        mask: SpectrogramMask | None = None,
        seed: int = 0,
    ):
        self.feature_extractor = feature_extractor
        self.augment = augment
        self.mixup = mixup
        self.mask = mask
        self.seed = seed
        self.epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def __call__(self, rows: list[dict]) -> BatchFeature:
        """Return the model's inputs for a batch, and `labels`: ``(B,)``, or shares ``(B, C)`` of blended utterances."""
        waveforms = [self._waveform(row) for row in rows]
        labels = torch.tensor([row["label"] for row in rows])
        if self.mixup is not None and all(row["split"] == "train" for row in rows):
            waveforms, labels = self.mixup(waveforms, labels.tolist(), seed=self._seed(rows[0]))
        # SpecAugment needs longer spectrograms than the model.
        least = [MIN_SAMPLES if row["split"] == "train" else SHORTEST_SAMPLES for row in rows]
        batch = extract_features(self.feature_extractor, list(map(_pad, waveforms, least)))
        if self.mask is not None:
            for i, row in enumerate(rows):
                if row["split"] == "train":
                    seconds = len(waveforms[i]) / SAMPLING_RATE
                    self.mask(batch, i, seconds, seed=self._seed(row))
        batch["labels"] = labels
        return batch

    def _waveform(self, row: dict) -> np.ndarray:
        waveform = load_row(row)
        if self.augment is not None and row["split"] == "train":
            waveform = self.augment(waveform, self._seed(row))
        return waveform

    def _seed(self, row: dict) -> tuple[int, int, int]:
        return self.seed, int(self.epoch), row["index"]


def _pad(waveform: np.ndarray, samples: int) -> np.ndarray:
    return np.pad(waveform, (0, max(0, samples - len(waveform))))
