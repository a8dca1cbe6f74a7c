"""Normalise vectors by speaker, from the unlabelled utterances of each speaker."""

from collections.abc import Sequence

import numpy as np


def normalize_by_speaker(vectors: np.ndarray, speakers: Sequence[str] | np.ndarray) -> np.ndarray:
    """Standardise the vectors of each speaker to zero mean and unit standard deviation.

    This is transductive: it uses all unlabelled utterances of a speaker together and cannot be applied to a single
    utterance. Features that are constant for a speaker become 0, so the vector of a speaker with only one utterance
    is all zeros.

    Args:
        vectors: ``(N, D)``.
        speakers: ``(N,)``.

    Returns:
        ``(N, D)`` float32.

    Raises:
        ValueError: If a speaker is None, or the numbers of speakers and vectors differ.

    Examples:
        >>> normalize_by_speaker(np.array([[1.0], [3.0], [20.0], [40.0]]), ["a", "a", "b", "b"]).ravel().tolist()
        [-1.0, 1.0, -1.0, 1.0]
    """
    speakers = known_speakers(speakers, len(vectors))
    normalized = np.empty(vectors.shape, np.float32)
    for speaker in set(speakers):
        own = vectors[speakers == speaker].astype(np.float64)
        mean, deviation = own.mean(0), own.std(0)
        floor = 1e-6 * np.maximum(np.abs(mean), 1)  # a constant feature may have a tiny deviation due to rounding
        normalized[speakers == speaker] = (own - mean) / np.maximum(deviation, floor)
    return normalized


def known_speakers(speakers: Sequence[str] | np.ndarray, count: int) -> np.ndarray:
    """Return the speakers as an array ``(count,)`` after checking that all are known.

    Raises:
        ValueError: If a speaker is None, or the number of speakers is not `count`.
    """
    speakers = np.asarray(speakers, dtype=object)
    if len(speakers) != count:
        raise ValueError(f"Expected a speaker for each of {count} utterances, found {len(speakers)} speakers.")
    if unknown := sum(speaker is None for speaker in speakers):
        raise ValueError(
            f"{unknown} of {count} utterances have no known speaker: expected one for each. Switch off normalisation "
            "by speaker, and pass speakers=None for random folds."
        )
    return speakers
