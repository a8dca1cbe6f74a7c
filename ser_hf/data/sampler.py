"""Order of the utterances: mini-batches of similar durations in training, longest first in evaluation."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import Sampler


class LengthGroupedSampler(Sampler[int]):
    """Draw every utterance once per epoch, in random mini-batches of similar durations.

    The order depends only on the seed and the epoch, and the batches are formed over all processes, so that training
    in several processes uses the same batches as in one. The last batch is filled with randomly drawn utterances.

    Args:
        durations: Duration of each utterance in seconds.
        batch_size: Utterances per optimizer step, over all processes and accumulation steps.
        seed: The same seed and epoch give the same order.
        epoch: The tensor to which the trainer writes the epoch (see `Collator`).

    Examples:
        >>> epoch = torch.tensor(0)
        >>> sampler = LengthGroupedSampler([1.0, 9.0, 1.1, 9.1], batch_size=2, seed=0, epoch=epoch)
        >>> order = list(sampler)
        >>> sorted(order[:2]) in ([0, 2], [1, 3])
        True
    """

    JITTER = 0.02  # durations are randomly changed by up to this fraction, so that batches differ between epochs

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
        batches = rng.permuted(batches, axis=1)  # so that each process gets the same mix of durations
        return iter(rng.permutation(batches).ravel().tolist())


def evaluation_order(durations: Sequence[float]) -> list[int]:
    """Return the row numbers from longest to shortest: little padding, and running out of memory happens at once."""
    return np.argsort(-np.asarray(durations), kind="stable").tolist()
