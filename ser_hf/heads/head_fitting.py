"""Fit heads, with a speaker-independent inner cross-validation over the training speakers.

Classifiers are class-balanced; the labels of a regressor are ratings ``(N, C)``. One inner cross-validation has three
purposes: it selects the hyperparameters of the head, it scores the head (so that features and heads are compared
without the test speakers), and its margins on held-out speakers determine the temperature that converts margins to
probabilities.

Shapes: N utterances, D features, C outputs: emotions, or dimensions of ratings.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from joblib import parallel_config
from sklearn.base import BaseEstimator, clone, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import has_fit_parameter
from threadpoolctl import threadpool_limits

from ser_hf.evaluation.rating_scores import rating_scores
from ser_hf.heads.classifiers import Head, build_head, list_parameters
from ser_hf.heads.margins import fit_margin_temperature, margins_of
from ser_hf.heads.normalization import known_speakers
from ser_hf.heads.regressors import REGRESSORS, predict_ratings

# heads that depend only on distances and inner products
ROTATABLE = ("svm_rbf", "svm_linear", "logistic_regression", *REGRESSORS)
INNER_FOLDS = 4


@dataclass(frozen=True)
class InnerScore:
    """Hold the result of the inner cross-validation of a head.

    Attributes:
        score: Unweighted average recall, or mean CCC over the dimensions, of the best hyperparameters on held-out
            training speakers, all folds pooled. It is slightly optimistic, because it is the maximum over up to six
            settings.
        parameters: The best hyperparameters by name; empty for a head without a grid.
        margins: ``(N, C)`` for the best hyperparameters, ratings of a regressor; each row is predicted by a fit
            without that speaker.
    """

    score: float
    parameters: dict[str, float]
    margins: np.ndarray


def cross_validate_head(
    name: str,
    vectors: np.ndarray,
    labels: Sequence[int] | np.ndarray,
    speakers: Sequence[str] | np.ndarray | None,
    *,
    seed: int = 0,
    utterances: Sequence[int] | np.ndarray | None = None,
    groups: Sequence[str] | np.ndarray | None = None,
) -> InnerScore:
    """Select the hyperparameters of a head by a speaker-independent cross-validation over the training utterances.

    Args:
        name: A key of `HEADS`, or of `REGRESSORS` for ratings.
        vectors: ``(N, D)`` float32, of the training utterances.
        labels: ``(N,)`` from 0 to C - 1, or ratings ``(N, C)``.
        speakers: ``(N,)``. None if speakers are unknown: the folds are then random, stratified by emotion, and the
            score is too high.
        seed: Random seed of the classifier, and of the folds if speakers are unknown.
        utterances: ``(N,)`` numbers of the utterances, used if speakers are unknown: all windows and augmented copies
            of an utterance stay in the same part of a fold. None if each row is a different utterance.
        groups: ``(N,)`` groups with the same total weight, such as corpus and emotion. None gives the same weight to
            each emotion.

    Returns:
        The best hyperparameters with their score and margins.

    Raises:
        ValueError: If `name` is unknown, vectors are not finite, the numbers of vectors, labels and speakers differ, a
            label has no utterance, a speaker is None, or there is only one speaker.
    """
    vectors, labels = _check_training_rows(vectors, labels)
    pipeline, settings = build_head(name, seed=seed), list_parameters(name, vectors.shape)
    outputs = labels.shape[1] if labels.ndim == 2 else labels.max() + 1
    groups = labels if groups is None else np.asarray(groups)
    margins = np.empty((len(settings), len(labels), outputs))
    with _one_thread():
        for fit_on, held_out in inner_folds(labels, speakers, seed=seed, utterances=utterances):
            rows = pipeline["scaler"].fit_transform(vectors[fit_on])
            others = pipeline["scaler"].transform(vectors[held_out])
            if name in ROTATABLE and rows.shape[1] > rows.shape[0]:
                rows, others = rotate(rows, others)
            for i, parameters in enumerate(settings):
                estimator = clone(pipeline[-1]).set_params(**parameters)
                _fit_balanced(estimator, rows, labels[fit_on], groups[fit_on])
                margins[i, held_out] = (
                    predict_ratings(estimator, others)
                    if is_regressor(estimator)
                    else margins_of(estimator, others, outputs)
                )
    scores = [_score(labels, each) for each in margins]
    best = int(np.argmax(scores))
    return InnerScore(scores[best], settings[best], margins[best])


def fit_head(
    name: str,
    vectors: np.ndarray,
    labels: Sequence[int] | np.ndarray,
    speakers: Sequence[str] | np.ndarray | None,
    *,
    seed: int = 0,
    inner: InnerScore | None = None,
    groups: Sequence[str] | np.ndarray | None = None,
) -> Head:
    """Fit a head on all training utterances, with the hyperparameters and margins of the inner cross-validation.

    Args:
        name: A key of `HEADS` or `REGRESSORS`.
        vectors: ``(N, D)``, as in `cross_validate_head`.
        labels: ``(N,)`` from 0 to C - 1, or ratings ``(N, C)``.
        speakers: ``(N,)`` or None, as in `cross_validate_head`.
        seed: Random seed of the classifier.
        inner: Result of `cross_validate_head` for the same arguments. None runs the cross-validation here, with each
            row as a different utterance.
        groups: ``(N,)`` or None, as in `cross_validate_head`.

    Raises:
        ValueError: As for `cross_validate_head`.
    """
    vectors, labels = _check_training_rows(vectors, labels)
    inner = inner or cross_validate_head(name, vectors, labels, speakers, seed=seed, groups=groups)
    pipeline = build_head(name, seed=seed)
    pipeline[-1].set_params(**inner.parameters)
    with _one_thread():
        rows = pipeline["scaler"].fit_transform(vectors)
        _fit_balanced(pipeline[-1], rows, labels, labels if groups is None else np.asarray(groups))
    temperature = 1.0 if name in REGRESSORS else fit_margin_temperature(inner.margins, labels)
    return Head(name, pipeline, temperature, inner.parameters, inner.score)


def _score(labels: np.ndarray, margins: np.ndarray) -> float:
    """Return the UA of margins ``(N, C)``, or the mean CCC of ratings; the CCC of a constant counts as 0."""
    if labels.ndim == 1:
        return float(balanced_accuracy_score(labels, margins.argmax(1)))
    return float(np.nan_to_num(rating_scores(labels, margins)["ccc"]).mean())


def inner_folds(
    labels: np.ndarray,
    speakers: Sequence[str] | np.ndarray | None,
    *,
    seed: int = 0,
    utterances: Sequence[int] | np.ndarray | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Return an iterator over the speaker-independent folds of the inner cross-validation.

    Args:
        labels: ``(N,)``, or ratings ``(N, C)``.
        speakers: ``(N,)``. None if speakers are unknown: the folds are then random, stratified by emotion.
        seed: Random seed of the folds if speakers are unknown.
        utterances: ``(N,)`` numbers of the utterances, as in `cross_validate_head`.

    Returns:
        Pairs of row numbers: rows to fit on, rows held out.

    Raises:
        ValueError: If there is only one speaker, a speaker is None, or the numbers of speakers and labels differ.
    """
    if speakers is None:
        kind = StratifiedKFold if utterances is None else StratifiedGroupKFold
        strata = labels if labels.ndim == 1 else np.zeros(len(labels))
        return kind(INNER_FOLDS, shuffle=True, random_state=seed).split(strata, strata, groups=utterances)
    speakers = known_speakers(speakers, len(labels))
    if (found := len(set(speakers))) < 2:
        raise ValueError("Expected at least two training speakers, found one. Pass speakers=None for random folds.")
    return GroupKFold(min(INNER_FOLDS, found)).split(labels, groups=speakers)


def rotate(rows: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reduce D features to n + 1 by a rotation that does not change the result of the heads in `ROTATABLE`.

    The first n columns are coordinates in the span of the rows. The last column is the distance of each vector from
    this span (zero for the rows). Inner products and distances among the rows, and between rows and others, are exact.

    Args:
        rows: ``(n, D)`` vectors to fit on, n < D.
        others: ``(m, D)`` vectors to predict.

    Returns:
        The reduced rows ``(n, n + 1)`` and others ``(m, n + 1)``.
    """
    basis, coordinates = np.linalg.qr(rows.T)  # (D, n), (n, n)
    inside = others @ basis
    outside = np.sqrt(np.maximum((others**2).sum(1) - (inside**2).sum(1), 0))
    return np.pad(coordinates.T, ((0, 0), (0, 1))), np.column_stack([inside, outside])


def _check_training_rows(vectors: np.ndarray, labels: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    vectors, labels = np.asarray(vectors), np.asarray(labels)
    if len(vectors) != len(labels):
        raise ValueError(f"Expected a label for each of {len(vectors)} vectors, found {len(labels)} labels.")
    if len(bad := np.flatnonzero(~np.isfinite(vectors).all(1))):
        raise ValueError(
            f"{len(bad)} of {len(vectors)} vectors are not finite (first: row {bad[0]}). Remove these rows."
        )
    if labels.ndim == 1 and (missing := sorted(set(range(max(labels.max() + 1, 2))) - set(labels.tolist()))):
        raise ValueError(
            f"Labels {missing} have no training utterance: expected every label from 0 to C - 1, and C of at least 2."
        )
    return vectors, labels


def _fit_balanced(estimator: BaseEstimator, rows: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> None:
    """Fit in place with equal total weight for each group, if the classifier supports sample weights (not k-NN)."""
    weights = {}
    if labels.ndim == 1 and has_fit_parameter(estimator, "sample_weight"):
        weights["sample_weight"] = compute_sample_weight("balanced", groups)
    with parallel_config("threading", n_jobs=-1):  # for forests; they predict in one thread, so sums have a fixed order
        estimator.fit(rows, labels, **weights)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Limit linear algebra to one thread, and suppress expected warnings.

    The matrices are small: on a busy machine, synchronising several threads takes ten times as long as one thread.
    """
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Stochastic Optimizer", ConvergenceWarning
        )  # the number of epochs of the MLP is limited on purpose
        warnings.filterwarnings("ignore", "Bins whose width|Feature .* is constant")  # such a feature has fewer bins
        yield
