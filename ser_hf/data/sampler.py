"""Order of the utterances: mini-batches of similar durations in training, longest first in evaluation.

Shapes: N utterances, C categories.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from datasets import Dataset
from torch.utils.data import Sampler

JITTER = 0.02  # durations are randomly changed by up to this fraction, so that batches differ between epochs
LONGER = (1 + JITTER) / (1 - JITTER)  # largest factor by which an utterance takes the place of a shorter one


class EpochRows:
    """Draw the rows of an epoch from the shortest to the longest utterance, which the samplers make mini-batches of.

    Args:
        durations: Duration of each utterance in seconds, ``(N,)``.
        seed: The same seed and epoch give the same order.
        epoch: The tensor to which the trainer writes the epoch (see `Collator`).
        sampling: "all" draws every utterance once. "balanced" draws about N / C utterances of each category, so that
            utterances of rare categories are repeated. "undersample" draws as many utterances of each category as the
            rarest category has. What is left out changes from epoch to epoch.
        categories: Category of each utterance, such as its emotion; not used by "all".

    Source:
        Kang et al. 2020, https://arxiv.org/abs/1910.09217, for "balanced" (class-balanced sampling).
        He & Garcia 2009, https://doi.org/10.1109/TKDE.2008.239, for "undersample".

    Examples:
        >>> rows = EpochRows([1.0, 9.0, 5.0], seed=0, epoch=torch.tensor(0))
        >>> rows.draw(rows.random_generator(), 3)
        array([0, 2, 1])
    """

    def __init__(
        self,
        durations: Sequence[float] | np.ndarray,
        *,
        seed: int,
        epoch: torch.Tensor,
        sampling: str = "all",
        categories: Sequence[str] = (),
    ):
        self.durations = np.asarray(durations)
        self.seed = seed
        self.epoch = epoch
        self._groups, self._share = _share_epoch(len(durations), sampling, categories)

    def __len__(self) -> int:
        return len(self._groups) * self._share

    def random_generator(self) -> np.random.Generator:
        """Return the generator of the current epoch."""
        return np.random.default_rng((self.seed, int(self.epoch)))

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Return the rows of the epoch and, up to `count` rows, some of them again; durations are roughly ascending."""
        rows = np.concatenate([_draw(group, self._share, rng) for group in self._groups])
        rows = np.concatenate([rows, rows[rng.integers(0, len(rows), count - len(rows))]])
        return rows[np.argsort(self.durations[rows] * rng.uniform(1 - JITTER, 1 + JITTER, len(rows)))]

    def longest(self) -> np.ndarray:
        """Return the longest durations that an epoch may have, in seconds ``(len(self),)``, in descending order."""
        groups = (-np.sort(-self.durations[group]) for group in self._groups)
        return -np.sort(-np.concatenate([np.resize(group, self._share) for group in groups]))


class LengthGroupedSampler(Sampler[int]):
    """Draw the utterances of an epoch, in random mini-batches of similar durations.

    The order depends only on the seed and the epoch, and the batches are formed over all processes, so that training
    in several processes uses the same batches as in one. The last batch is filled with randomly drawn utterances.
    Copies of an utterance in an epoch have the same augmentation.

    Args:
        rows: The rows of an epoch.
        batch_size: Utterances per optimizer step, over all processes and accumulation steps.

    Examples:
        >>> rows = EpochRows([1.0, 9.0, 1.1, 9.1], seed=0, epoch=torch.tensor(0))
        >>> order = list(LengthGroupedSampler(rows, batch_size=2))
        >>> sorted(order[:2]) in ([0, 2], [1, 3])
        True
    """

    def __init__(self, rows: EpochRows, batch_size: int):
        self.rows = rows
        self.batch_size = batch_size

    def __len__(self) -> int:
        return _round_up(len(self.rows), self.batch_size)

    def __iter__(self) -> Iterator[int]:
        rng = self.rows.random_generator()
        batches = self.rows.draw(rng, len(self)).reshape(-1, self.batch_size)
        batches = rng.permuted(batches, axis=1)  # so that each process gets the same mix of durations
        for batch in rng.permutation(batches):
            yield from batch.tolist()


class SecondsBatchSampler(Sampler[list[int]]):
    """Draw the mini-batches of an epoch by their seconds of zero-padded audio, in place of a number of utterances.

    A mini-batch has as many utterances of similar durations as fit, so that neither memory nor time per step depends
    on the durations; an utterance that is longer is a mini-batch of its own. The mini-batches of an optimizer step
    have equally many utterances; if those of the last step are too few, some are repeated. All epochs have equally
    many steps. As in `LengthGroupedSampler`, the order depends only on the seed and the epoch.

    Args:
        rows: The rows of an epoch.
        batch_seconds: Most seconds of a mini-batch: number of utterances times the duration of the longest.
        parts: Mini-batches per optimizer step, over all processes and accumulation steps.

    Examples:
        >>> rows = EpochRows([9.0, 1.0, 2.1, 2.0], seed=0, epoch=torch.tensor(0))
        >>> sorted(map(sorted, SecondsBatchSampler(rows, batch_seconds=5, parts=1)))
        [[0], [1], [2, 3]]
    """

    def __init__(self, rows: EpochRows, batch_seconds: float, parts: int):
        self.rows = rows
        self.parts = parts
        self.sizes = list(_fill_batches(rows.longest() * LONGER, batch_seconds, parts))

    def __len__(self) -> int:
        return len(self.sizes) * self.parts

    def __iter__(self) -> Iterator[list[int]]:
        rng = self.rows.random_generator()
        steps = np.split(self.rows.draw(rng, len(self.rows))[::-1], np.cumsum(self.sizes)[:-1])
        for i in rng.permutation(len(steps)):
            step = np.resize(steps[i], _round_up(len(steps[i]), self.parts))
            yield from rng.permutation(step).reshape(self.parts, -1).tolist()


def _fill_batches(durations: np.ndarray, batch_seconds: float, parts: int) -> Iterator[int]:
    """Yield the number of utterances of each optimizer step, for durations from the longest to the shortest."""
    start = 0
    while start < len(durations):
        size = min(max(1, int(batch_seconds / durations[start])) * parts, len(durations) - start)
        yield size
        start += size


def _round_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _share_epoch(count: int, sampling: str, categories: Sequence[str]) -> tuple[list[np.ndarray], int]:
    """Return the rows of each group, and the number of draws from each group per epoch."""
    if sampling == "all":
        return [np.arange(count)], count
    groups = [np.flatnonzero(np.asarray(categories) == name) for name in sorted(set(categories))]
    return groups, min(map(len, groups)) if sampling == "undersample" else -(-count // len(groups))


def _draw(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return `count` rows; none is drawn twice more often than another."""
    return np.concatenate([np.tile(rows, count // len(rows)), rng.choice(rows, count % len(rows), replace=False)])


def name_groups(dataset: Dataset) -> list[str]:
    """Return corpus and emotion of each row as "corpus/emotion", the groups that `balance_corpora` weighs equally."""
    return [f"{corpus}/{emotion}" for corpus, emotion in zip(dataset["corpus"], dataset["emotion"], strict=True)]


def evaluation_order(durations: Sequence[float]) -> list[int]:
    """Return the row numbers from longest to shortest: little padding, and running out of memory happens at once."""
    return np.argsort(-np.asarray(durations), kind="stable").tolist()
