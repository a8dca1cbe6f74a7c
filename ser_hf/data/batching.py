"""Dataset rows -> batches: one collator for every architecture, and batches of like durations.

Shapes: B batch, T samples, F frames, M mel bins.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import Sampler
from transformers import ASTFeatureExtractor, BatchFeature, SequenceFeatureExtractor, WhisperFeatureExtractor

from ser_hf.data.audio import SAMPLING_RATE
from ser_hf.data.augment import Augmentation
from ser_hf.data.dataset import MIN_DURATION, SHORTEST, load_row
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
        mask: "SpectrogramMask | None" = None,
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


class LengthGroupedSampler(Sampler[int]):
    """Draw every utterance once an epoch, in random batches of nearly equal durations.

    The order depends on the seed and the epoch only, and whole global batches are kept together, so that one
    process and several see the same batches. Where the last batch would be short, utterances drawn at random
    fill it up.

    Args:
        durations: Seconds of each utterance.
        batch_size: Utterances per optimizer step, over all processes and accumulation steps.
        seed: Same seed and epoch, same order.
        epoch: The tensor that the trainer writes the epoch to (see `Collator`).
    """

    JITTER = 0.02  # durations are blurred by this share before sorting: neighbours change from epoch to epoch

    def __init__(self, durations: Sequence[float], batch_size: int, *, seed: int, epoch: torch.Tensor):
        self.durations = np.asarray(durations)
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.durations) // self.batch_size) * self.batch_size

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((self.seed, int(self.epoch)))
        count = len(self.durations)
        order = np.concatenate([np.arange(count), rng.integers(0, count, len(self) - count)])
        blur = rng.uniform(1 - self.JITTER, 1 + self.JITTER, len(order))
        batches = order[np.argsort(self.durations[order] * blur)].reshape(-1, self.batch_size)
        batches = rng.permuted(batches, axis=1)  # so that the ranks get the same mix of durations
        return iter(rng.permutation(batches).ravel().tolist())


def evaluation_order(durations: Sequence[float]) -> list[int]:
    """Return the rows from the longest to the shortest: little padding, and too little memory shows at once."""
    return np.argsort(-np.asarray(durations), kind="stable").tolist()


def _pad(waveform: np.ndarray, samples: int) -> np.ndarray:
    return np.pad(waveform, (0, max(0, samples - len(waveform))))
