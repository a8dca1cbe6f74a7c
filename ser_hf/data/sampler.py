"""The order of the utterances: batches of similar durations in training, the longest first in evaluation."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import Sampler


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
