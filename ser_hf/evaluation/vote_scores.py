"""Score predicted distributions over emotions against the votes of annotators.

Shapes: `N` utterances, `C` emotions. Votes and scores are ``(N, C)``, each row sums to 1.
"""

import numpy as np
from scipy.special import entr, rel_entr
from scipy.stats import spearmanr


def jensen_shannon(votes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the Jensen-Shannon divergence in bits ``(N,)``, 0 (equal) to 1 (no emotion in common).

    Source:
        Lin, "Divergence measures based on the Shannon entropy", IEEE Transactions on Information Theory 1991.

    Examples:
        >>> jensen_shannon(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([[0.0, 1.0], [0.5, 0.5]])).tolist()
        [1.0, 0.0]
    """
    middle = (votes + scores) / 2
    return (rel_entr(votes, middle) + rel_entr(scores, middle)).sum(1) / (2 * np.log(2))


def cosine(votes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the cosine similarity ``(N,)``, 0 to 1.

    Examples:
        >>> cosine(np.array([[1.0, 0.0]]), np.array([[0.6, 0.8]])).round(4).tolist()
        [0.6]
    """
    return (votes * scores).sum(1) / (np.linalg.norm(votes, axis=1) * np.linalg.norm(scores, axis=1))


def soft_accuracy(votes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the overlap ``(N,)`` of votes and scores, the sum over emotions of the smaller share, 0 to 1.

    For votes that all name one emotion it is the score of that emotion.

    Examples:
        >>> soft_accuracy(np.array([[0.75, 0.25]]), np.array([[0.5, 0.5]])).tolist()
        [0.75]
    """
    return np.minimum(votes, scores).sum(1)


def soft_f1(votes: np.ndarray, scores: np.ndarray) -> float:
    """Return the macro F1 of all emotions whose share is above 1/C; emotions that no votes reach are left out.

    Source:
        Goncalves et al., "Odyssey 2024 - Speech Emotion Recognition Challenge", for labels from thresholds on votes.

    Examples:
        >>> soft_f1(np.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]), np.array([[0.4, 0.4, 0.2], [0.4, 0.4, 0.2]]))
        0.8333333333333333
    """
    threshold = 1 / votes.shape[1]
    present, predicted = votes > threshold, scores > threshold
    hits, totals = (present & predicted).sum(0), present.sum(0) + predicted.sum(0)
    reached = present.any(0)
    return float((2 * hits[reached] / totals[reached]).mean())


def entropy_correlation(votes: np.ndarray, scores: np.ndarray) -> float | None:
    """Return Spearman's rank correlation, -1 to 1, between the entropies of votes and scores.

    It tells whether the model is undecided about the utterances about which the annotators disagree.

    Returns:
        The correlation; None if the entropies of the votes or of the scores are all equal.

    Examples:
        >>> votes = np.array([[1.0, 0.0], [0.75, 0.25], [0.5, 0.5]])
        >>> round(entropy_correlation(votes, np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]])), 4)
        1.0
        >>> entropy_correlation(np.eye(2), np.eye(2))
    """
    entropies = entr(votes).sum(1).round(12), entr(scores).sum(1).round(12)
    if any(np.ptp(entropy) == 0 for entropy in entropies):
        return None
    return float(spearmanr(*entropies).statistic)
