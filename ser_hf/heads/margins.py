"""Margins of a fitted classifier, one per emotion, and the temperature that converts margins to probabilities.

Shapes: N utterances, D features, C emotions.
"""

from itertools import combinations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import log_loss
from sklearn.svm import SVC

FLOOR = 0.01  # added before the logarithm to the votes of trees and neighbours, which may be zero


def margins_of(classifier: ClassifierMixin, rows: np.ndarray, classes: int) -> np.ndarray:
    """Return margins ``(N, C)``: decision values, or the logarithm of the votes.

    Args:
        classifier: Fitted classifier.
        rows: Scaled vectors ``(N, D)``.
        classes: Number of emotions C. A label that is missing in the fit gets the lowest margin of the row.
    """
    if hasattr(classifier, "decision_function"):
        known = classifier.decision_function(rows)
    else:
        known = np.log(classifier.predict_proba(rows) + FLOOR)
    if known.ndim == 1:  # two classes: scikit-learn returns the difference only
        known = np.column_stack([-known, known]) / 2
    elif isinstance(classifier, SVC):
        known = _soft_votes(known, len(classifier.classes_))
    margins = np.repeat(known.min(1, keepdims=True), classes, axis=1)
    margins[:, classifier.classes_] = known
    return margins


def _soft_votes(pairs: np.ndarray, classes: int) -> np.ndarray:
    """Return soft one-versus-one votes ``(N, C)`` from the decision values ``(N, C (C - 1) / 2)`` of all class pairs.

    They give similar predictions to the hard votes of scikit-learn, but also measure confidence, as calibration needs.
    """
    votes = np.zeros((len(pairs), classes))
    for (one, other), vote in zip(combinations(range(classes), 2), np.tanh(pairs).T, strict=True):
        votes[:, one] += vote
        votes[:, other] -= vote
    return votes


def fit_margin_temperature(margins: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature, between 0.001 and 1000, with the lowest log loss.

    Args:
        margins: ``(N, C)`` of utterances that the classifier was not fitted on.
        labels: ``(N,)``.

    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599
    """
    classes = np.arange(margins.shape[1])
    found = minimize_scalar(
        lambda exponent: log_loss(labels, softmax(margins / 10**exponent, axis=1), labels=classes), bounds=(-3, 3)
    )
    return float(10**found.x)
