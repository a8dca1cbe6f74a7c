"""Whether scores mean what they say, the temperature that mends them, and the score below which to say "uncertain".

The best score of an utterance is that of its predicted emotion. Calibrated, utterances with a best score of 0.8 are
right 80 % of the time.

Shapes: `C` emotions, `N` utterances. Logits and scores are ``(N, C)``, labels ``(N,)`` from 0 to C - 1; each row of
scores sums to 1.
"""

import numpy as np
import pandas
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

BINS = 15
BOUNDS = (0.05, 20.0)
THRESHOLD_RULE = "the lowest score at which the validation utterances that stay err at most half as often as all"


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature, 0.05 to 20, by which to divide logits so that their scores are calibrated.

    It gives the lowest NLL, but for a weak prior that it is near 1 (unit deviation of its logarithm). A hundred
    utterances outweigh the prior; it decides where they cannot tell: alone, the NLL of utterances that are all right
    falls without end as scores go to 1, and that of a few is lowest anywhere.

    Args:
        logits: ``(N, C)`` of utterances that the model was not trained on.
        labels: ``(N,)``.

    Source:
        Guo et al. 2017, On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599

    Examples:
        >>> logits = np.array([[3.0, 0.0]] * 400)  # a score of 0.95
        >>> labels = np.array([0, 0, 0, 1] * 100)  # right three times of four: 3 / T should be log(3)
        >>> round(fit_temperature(logits, labels), 1)
        2.7
    """
    logits, rows = np.asarray(logits, dtype=float), np.arange(len(labels))

    def loss(exponent: float) -> float:
        return exponent**2 / 2 - log_softmax(logits / np.exp(exponent), axis=1)[rows, labels].sum()

    return float(np.exp(minimize_scalar(loss, bounds=np.log(BOUNDS), method="bounded").x))


def calibration_errors(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Compute how far scores are from what happened; lower is better, 0 is perfect.

    Returns:
        ``ece``: the gap between best score and accuracy, averaged over utterances in 15 bins of the best score, 0 to
        1. ``brier``: the squared error summed over emotions, 0 to 2. ``nll``: the negative log-likelihood, in nats.

    Raises:
        ValueError: the scores of an utterance do not sum to 1.

    Source:
        Guo et al. 2017, https://arxiv.org/abs/1706.04599 (ECE); Brier 1950, Verification of forecasts expressed in
        terms of probability, Monthly Weather Review.

    Examples:
        >>> errors = calibration_errors(np.array([[0.75, 0.25], [0.75, 0.25]]), np.array([0, 1]))
        >>> {name: round(error, 4) for name, error in errors.items()}
        {'ece': 0.25, 'brier': 0.625, 'nll': 0.837}
    """
    scores, labels = np.asarray(scores, dtype=float), np.asarray(labels)
    sums = scores.sum(1)
    if not np.allclose(sums, 1, atol=1e-3):
        raise ValueError(f"Expected scores that sum to 1: found {sums.min():.3g} to {sums.max():.3g}. Are they logits?")
    right = scores[np.arange(len(labels)), labels]
    return {
        "ece": expected_calibration_error(reliability(scores, labels)),
        "brier": float(np.mean(np.square(scores).sum(1) - 2 * right + 1)),
        "nll": float(-np.log(right.clip(np.finfo(float).eps)).mean()),  # 36 at most, where a score rounds to zero
    }


def reliability(scores: np.ndarray, labels: np.ndarray) -> pandas.DataFrame:
    """Compare best scores with accuracy in 15 bins of equal width, each without its lower edge.

    Returns:
        A row per bin that holds an utterance: ``low`` (its lower edge), mean best ``score``, ``accuracy``, ``count``.
    """
    best, right = _judge(scores, labels)
    edges = np.linspace(0, 1, BINS + 1)
    low = edges[np.digitize(best, edges[1:-1], right=True)]
    bins = pandas.DataFrame({"low": low, "score": best, "right": right}).groupby("low", as_index=False)
    return bins.agg(score=("score", "mean"), accuracy=("right", "mean"), count=("right", "size"))


def expected_calibration_error(bins: pandas.DataFrame) -> float:
    """Return the ECE of what `reliability` returned."""
    return float(np.average(np.abs(bins["accuracy"] - bins["score"]), weights=bins["count"]))


def coverage_curve(scores: np.ndarray, labels: np.ndarray) -> pandas.DataFrame:
    """Tell how many utterances stay, and how often they are right, at each threshold on the best score.

    Returns:
        A row per best score that occurs, from low to high: as ``threshold``, the ``coverage`` (share of utterances
        whose best score reaches it) and their ``accuracy``.

    Examples:
        >>> coverage_curve(np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([1, 1]))
           threshold  coverage  accuracy
        0       0.50       1.0       0.5
        1       0.75       0.5       1.0
    """
    best, right = _judge(scores, labels)
    each = pandas.DataFrame({"threshold": best, "right": right}).groupby("threshold")["right"].agg(["size", "sum"])
    stay = each[::-1].cumsum()[::-1]
    curve = pandas.DataFrame({"coverage": stay["size"] / len(best), "accuracy": stay["sum"] / stay["size"]})
    return curve.reset_index()


def choose_threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the best score below which to call an utterance uncertain, by `THRESHOLD_RULE`.

    It is 0 where nothing needs to go, as when all are right. Where no threshold halves the errors, it is the one that
    leaves the fewest among those that stay (of equal ones the lowest). It lies midway between two utterances, so that
    rounding moves neither across.

    Args:
        scores: ``(N, C)`` of validation utterances, calibrated.
        labels: ``(N,)``.
    """
    curve = coverage_curve(scores, labels)
    errors = 1 - curve["accuracy"]
    halved = errors <= errors[0] / 2 + 1e-9  # 1 - 6/7 is not quite half of 1 - 10/14
    place = halved.idxmax() if halved.any() else errors.idxmin()
    return float(curve["threshold"].iloc[place - 1 : place + 1].mean()) if place else 0.0


def coverage_at(scores: np.ndarray, labels: np.ndarray, threshold: float) -> dict[str, float | None]:
    """Return the ``coverage``, the share of utterances whose best score reaches a threshold, and their ``accuracy``.

    The accuracy is None where no utterance stays.
    """
    best, right = _judge(scores, labels)
    stay = best >= threshold
    return {"coverage": float(stay.mean()), "accuracy": float(right[stay].mean()) if stay.any() else None}


def _judge(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the best score of each utterance, and whether its emotion is the right one."""
    scores = np.asarray(scores, dtype=float)
    return scores.max(1), scores.argmax(1) == labels
