"""Confusion matrices of bootstrap resamples, in blocks of bounded memory, because there may be a thousand emotions.

Shapes: `C` emotions, `N` utterances, `G` groups of utterances such as speakers, `R` resamples, `B` resamples of a
block.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np
import pandas

from ser_hf.evaluation.scores import METRICS

BLOCK = 2**23  # counts in the confusion matrices of a block, 64 MB


def list_blocks(resamples: int, emotions: int) -> Iterator[int]:
    """Yield the number of resamples of each block.

    Examples:
        >>> list(list_blocks(1000, emotions=8)), list(list_blocks(20, emotions=1000))
        ([1000], [8, 8, 4])
    """
    size = max(1, BLOCK // emotions**2)
    for done in range(0, resamples, size):
        yield min(size, resamples - done)


def draw_groups(groups: int, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """Return how often each group is drawn, ``(R, G)``; each resample has G groups."""
    return generator.multinomial(groups, np.full(groups, 1 / groups), size=resamples)


def number_groups(rows: Collection[np.ndarray]) -> np.ndarray:
    """Return the number of the group of each utterance ``(N,)``, given the utterances of each group.

    Examples:
        >>> number_groups([np.array([0, 2]), np.array([1])])
        array([0, 1, 0])
    """
    numbers = np.empty(sum(map(len, rows)), dtype=np.int64)
    for number, members in enumerate(rows):
        numbers[members] = number
    return numbers


def number_cells(predictions: pandas.DataFrame, column: str, emotions: Sequence[str]) -> np.ndarray:
    """Return the cell of each utterance in the flattened confusion matrix ``(N,)``.

    Args:
        predictions: ``N`` rows with the column `target`.
        column: Column of the predictions.
        emotions: The ``C`` emotions.

    Raises:
        ValueError: If a target or prediction is not one of the emotions.
    """
    index, cells = pandas.Index(list(emotions)), np.zeros(len(predictions), dtype=np.int64)
    for name in ("target", column):
        labels = index.get_indexer(predictions[name])
        if unknown := set(predictions[name][labels < 0]):
            raise ValueError(f"Unknown emotion '{min(unknown, key=str)}' ({name}): expected one of {list(emotions)}.")
        cells = cells * len(index) + labels
    return cells


def resample_groups(cells: np.ndarray, groups: np.ndarray, draws: np.ndarray, emotions: int) -> Iterator[np.ndarray]:
    """Yield the confusion matrices of the resamples in blocks ``(B, C, C)``.

    Args:
        cells: Cell of each utterance ``(N,)``, see `number_cells`.
        groups: Group of each utterance ``(N,)``.
        draws: How often each group is drawn ``(R, G)``.
        emotions: Number ``C`` of emotions.

    Examples:
        >>> list(resample_groups(np.array([0, 1, 3]), np.array([0, 0, 1]), np.array([[2, 0], [1, 1]]), 2))[0].tolist()
        [[[2.0, 2.0], [0.0, 0.0]], [[1.0, 1.0], [0.0, 1.0]]]
    """
    done = 0
    for size in list_blocks(len(draws), emotions):
        block = draws[done : done + size]
        counts = [np.bincount(cells, drawn[groups], emotions**2).reshape(emotions, emotions) for drawn in block]
        yield np.stack(counts)
        done += size


def score_blocks(blocks: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Return each of `METRICS` ``(R,)`` of the confusion matrices in blocks ``(B, C, C)``."""
    scored = [{name: metric(block) for name, metric in METRICS.items()} for block in blocks]
    return {name: np.concatenate([scores[name] for scores in scored]) for name in METRICS}
