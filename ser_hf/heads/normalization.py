"""Vectors in units of their own speaker: what a speaker's unlabelled utterances say about that speaker's voice."""

from collections.abc import Sequence

import numpy as np


def normalize_by_speaker(vectors: np.ndarray, speakers: Sequence[str] | np.ndarray) -> np.ndarray:
    """Return vectors ``(N, D)`` in units of their own speaker's deviation from that speaker's own mean.

    It is transductive: a speaker's unlabelled utterances are heard together, which one utterance alone does not
    allow. A number that a speaker never varies becomes 0, so the only utterance of a speaker becomes all zeros.

    Raises:
        ValueError: If a speaker is unknown, or there are not as many speakers as vectors.
    """
    speakers = known_speakers(speakers, len(vectors))
    normalized = np.empty(vectors.shape, np.float32)
    for speaker in set(speakers):
        own = vectors[speakers == speaker].astype(np.float64)
        mean, deviation = own.mean(0), own.std(0)
        floor = 1e-6 * np.maximum(np.abs(mean), 1)  # what rounding makes of a constant
        normalized[speakers == speaker] = (own - mean) / np.maximum(deviation, floor)
    return normalized


def known_speakers(speakers: Sequence[str] | np.ndarray, count: int) -> np.ndarray:
    """Return the speakers ``(count,)``, all of them known.

    Raises:
        ValueError: If a speaker is unknown, or there are not as many as `count`.
    """
    speakers = np.asarray(speakers, dtype=object)
    if len(speakers) != count:
        raise ValueError(f"Expected a speaker for each of {count} utterances, found {len(speakers)}.")
    if unknown := sum(speaker is None for speaker in speakers):
        raise ValueError(
            f"{unknown} of {count} utterances have no known speaker: expected one for each. Leave normalisation by "
            "speaker off, and give speakers=None to hold out at random."
        )
    return speakers
