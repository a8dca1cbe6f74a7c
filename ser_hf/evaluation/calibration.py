"""Measure and fit calibration: the temperature, calibration errors, and the threshold for uncertain predictions.

The best score of an utterance is the score of its predicted emotion. Scores are calibrated if they equal accuracy: of
the utterances with a best score of 0.8, 80 % are predicted correctly. An utterance is accepted if its best score
reaches a threshold, and uncertain otherwise.

Shapes: `C` emotions, `N` utterances. Logits and scores are ``(N, C)``, labels ``(N,)`` from 0 to C - 1; each row of
scores sums to 1.
"""

from dataclasses import dataclass

import numpy as np
import pandas
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

ERRORS = {"ece": "ECE", "brier": "Brier", "nll": "NLL"}
BINS = 15
BOUNDS = (0.05, 20.0)
THRESHOLD_RULE = (
    "the lowest score such that validation utterances at or above it have at most half the error rate of all of them"
)


@dataclass
class CalibrationRecord:
    """Describe the calibration of a model.

    Attributes:
        temperature: What the logits were divided by.
        fitted_on: The part that it was fitted on.
        before: Calibration errors of each part before, by part and error (ece, brier, nll).
        after: The same after.
        threshold: "score", "rule", and coverage and accuracy by part.
        majority_temperature: Of a model of votes: the temperature that the emotions with the most votes would give.
    """

    temperature: float
    fitted_on: str
    before: dict[str, dict]
    after: dict[str, dict]
    threshold: dict
    majority_temperature: float | None = None

    def list_increases(self) -> list[str]:
        """Return a text for each calibration error of the test utterances that the temperature increased."""
        before, after = self.before["test"], self.after["test"]
        shown = {name: (f"{before[name]:.3f}", f"{after[name]:.3f}") for name in before}
        return [f"{ERRORS[name]} {old} to {new}" for name, (old, new) in shown.items() if float(new) > float(old)]


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """Return the temperature, 0.05 to 20, by which to divide logits so that their scores are calibrated.

    The temperature minimises the NLL with a weak prior: its logarithm is normally distributed with mean 0 and standard
    deviation 1. The prior matters only for few utterances. Without it, the NLL has no minimum if all utterances are
    predicted correctly, and an arbitrary one if there are few.

    Args:
        logits: ``(N, C)`` logits of utterances on which the model was not trained.
        targets: Labels ``(N,)``, or shares of the votes ``(N, C)``.

    Source:
        Guo et al. 2017, On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599

    Examples:
        >>> logits = np.array([[3.0, 0.0]] * 400)  # a score of 0.95
        >>> labels = np.array([0, 0, 0, 1] * 100)  # an accuracy of 0.75, so 3 / T should be log(3)
        >>> round(fit_temperature(logits, labels), 1)
        2.7
    """
    logits = np.asarray(logits, dtype=float)
    shares = np.eye(logits.shape[1])[targets] if targets.ndim == 1 else targets

    def loss(exponent: float) -> float:
        return exponent**2 / 2 - (shares * log_softmax(logits / np.exp(exponent), axis=1)).sum()

    return float(np.exp(minimize_scalar(loss, bounds=np.log(BOUNDS), method="bounded").x))


def calibration_errors(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Compute calibration errors of scores; lower is better, 0 is perfect.

    Args:
        scores: ``(N, C)``.
        labels: ``(N,)``.

    Returns:
        ``ece``, the difference between best score and accuracy, averaged over utterances in 15 bins of the best score,
        0 to 1; ``brier``, the squared error summed over emotions, 0 to 2; ``nll``, the negative log-likelihood in nats.

    Raises:
        ValueError: If the scores of an utterance do not sum to 1.

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
        "nll": float(-np.log(right.clip(np.finfo(float).eps)).mean()),  # at most 36, if a score rounds to zero
    }


def reliability(scores: np.ndarray, labels: np.ndarray) -> pandas.DataFrame:
    """Compare best scores with accuracy in 15 bins of equal width; a bin includes its upper edge, not its lower one.

    Args:
        scores: ``(N, C)``.
        labels: ``(N,)``.

    Returns:
        One row per non-empty bin: lower edge ``low``, mean best ``score``, ``accuracy``, and ``count`` of utterances.
    """
    best, right = _judge(scores, labels)
    edges = np.linspace(0, 1, BINS + 1)
    low = edges[np.digitize(best, edges[1:-1], right=True)]
    bins = pandas.DataFrame({"low": low, "score": best, "right": right}).groupby("low", as_index=False)
    return bins.agg(score=("score", "mean"), accuracy=("right", "mean"), count=("right", "size"))


def expected_calibration_error(bins: pandas.DataFrame) -> float:
    """Return the expected calibration error of the bins that `reliability` returns."""
    return float(np.average(np.abs(bins["accuracy"] - bins["score"]), weights=bins["count"]))


def coverage_curve(scores: np.ndarray, labels: np.ndarray) -> pandas.DataFrame:
    """Compute coverage and accuracy of the accepted utterances at each threshold.

    Args:
        scores: ``(N, C)``.
        labels: ``(N,)``.

    Returns:
        One row per distinct best score, in ascending order: the score as ``threshold``, ``coverage`` (share of accepted
        utterances) and ``accuracy`` of the accepted utterances.

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
    """Choose the threshold below which a prediction is uncertain, by `THRESHOLD_RULE`.

    The threshold is 0 if no utterance has to be rejected, for example if all are correct. If no threshold halves the
    error rate, the one with the lowest error rate is chosen (the lowest of several). It is placed midway between two
    best scores, so that rounding does not change which utterances are accepted.

    Args:
        scores: ``(N, C)`` calibrated scores of validation utterances.
        labels: ``(N,)``.
    """
    curve = coverage_curve(scores, labels)
    errors = 1 - curve["accuracy"]
    halved = errors <= errors[0] / 2 + 1e-9  # tolerance: 1 - 6/7 is slightly more than half of 1 - 10/14
    place = halved.idxmax() if halved.any() else errors.idxmin()
    return float(curve["threshold"].iloc[place - 1 : place + 1].mean()) if place else 0.0


def coverage_at(scores: np.ndarray, labels: np.ndarray, threshold: float) -> dict[str, float | None]:
    """Return coverage and accuracy of the accepted utterances at one threshold.

    Args:
        scores: ``(N, C)``.
        labels: ``(N,)``.
        threshold: Lowest best score of an accepted utterance.

    Returns:
        ``coverage`` (share of accepted utterances) and their ``accuracy``, None if no utterance is accepted.
    """
    best, right = _judge(scores, labels)
    stay = best >= threshold
    return {"coverage": float(stay.mean()), "accuracy": float(right[stay].mean()) if stay.any() else None}


def _judge(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the best score ``(N,)`` of each utterance, and whether its prediction is correct."""
    scores = np.asarray(scores, dtype=float)
    return scores.max(1), scores.argmax(1) == labels
