"""scikit-learn heads over fixed-size vectors: how well they serve new speakers, their fit, and their probabilities.

Every head is a pipeline of a scaler, fitted on the training rows alone, and a class-balanced classifier. One
inner cross-validation over the training speakers serves three ends: it chooses the head's parameter, it scores the
head (so that features and heads are compared without the test speakers), and its margins on held-out speakers set
the temperature that turns margins into probabilities.

Shapes: N utterances, D numbers in a vector, C emotions.
"""

import difflib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from joblib import parallel_config
from scipy.special import softmax
from sklearn.base import ClassifierMixin, clone
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, ParameterGrid, StratifiedGroupKFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler
from sklearn.svm import SVC
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import has_fit_parameter
from threadpoolctl import threadpool_limits

from ser_hf.heads.margins import fit_margin_temperature, margins_of
from ser_hf.heads.normalization import known_speakers

HEADS: dict[str, ClassifierMixin] = {
    "svm_rbf": SVC(kernel="rbf", decision_function_shape="ovo"),
    "svm_linear": SVC(kernel="linear", decision_function_shape="ovo"),
    "logistic_regression": LogisticRegression(max_iter=1000),
    # Few bins, and a tenth of the numbers at each split: seconds at D = 4000.
    "gradient_boosting": HistGradientBoostingClassifier(max_iter=50, max_leaf_nodes=8, max_features=0.1, max_bins=32),
    # Leaves of three: a leaf of one emotion alone answers the same whatever that emotion weighs.
    "random_forest": RandomForestClassifier(300, min_samples_leaf=3),
    "extra_trees": ExtraTreesClassifier(300, min_samples_leaf=3),
    "knn": KNeighborsClassifier(weights="distance", algorithm="brute"),
    "mlp": MLPClassifier((128,), max_iter=60),  # no early stopping: it would hold out rows of training speakers
}
GRIDS: dict[str, dict[str, Sequence[float]]] = {
    "svm_rbf": {"C": (1, 10), "gamma": (0.1, 0.3, 1.0)},  # gamma in units of 1 / D
    "svm_linear": {"C": (0.0001, 0.0005, 0.0025, 0.0125)},
    "logistic_regression": {"C": (0.0003, 0.003, 0.03, 0.3)},
    "knn": {"n_neighbors": (5, 10, 20)},
    "mlp": {"alpha": (0.1, 1.0, 10.0)},
}
ROTATABLE = ("svm_rbf", "svm_linear", "logistic_regression")  # they see distances and inner products only
INNER_FOLDS = 4
# Stands in for the scaler of gradient boosting, whose own bins, once rows have weights, take 20 s at D = 4000.
BINS = KBinsDiscretizer(
    32, encode="ordinal", strategy="quantile", quantile_method="averaged_inverted_cdf", subsample=None
)


@dataclass(frozen=True)
class InnerScore:
    """Hold what the inner cross-validation of a head found.

    Attributes:
        ua: Unweighted average recall on held-out training speakers, all folds pooled, of the best parameters
            (so it is the best of at most six, which flatters it a little).
        parameters: The best parameters, by name; empty for a head without a grid.
        margins: ``(N, C)`` of the best parameters, each row by a fit that did not hear its speaker.
    """

    ua: float
    parameters: dict[str, float]
    margins: np.ndarray


@dataclass(frozen=True)
class Head:
    """Hold a fitted pipeline and the temperature that turns its margins into probabilities.

    Attributes:
        name: As in `HEADS`.
        pipeline: "scaler" and "classifier".
        temperature: What margins are divided by before the softmax.
        parameters: As in `InnerScore`.
        inner_ua: UA on held-out training speakers.
    """

    name: str
    pipeline: Pipeline
    temperature: float
    parameters: dict[str, float]
    inner_ua: float

    def predict_proba(self, vectors: np.ndarray) -> np.ndarray:
        """Return probabilities ``(N, C)`` of vectors ``(N, D)``; each row sums to 1."""
        classifier = self.pipeline["classifier"]
        margins = margins_of(classifier, self.pipeline["scaler"].transform(vectors), len(classifier.classes_))
        return softmax(margins / self.temperature, axis=1)

    def predict(self, vectors: np.ndarray) -> np.ndarray:
        """Return the most probable labels ``(N,)`` of vectors ``(N, D)``."""
        return self.predict_proba(vectors).argmax(1)


def build_head(name: str, *, seed: int = 0) -> Pipeline:
    """Return the unfitted pipeline of a head, "scaler" and "classifier".

    Raises:
        ValueError: If there is no such head in `HEADS`.
    """
    if name not in HEADS:
        nearest = difflib.get_close_matches(name, HEADS, n=1, cutoff=0.0)[0]
        raise ValueError(f"Unknown head '{name}': expected one of {list(HEADS)}. Did you mean '{nearest}'?")
    classifier = clone(HEADS[name])
    if "random_state" in classifier.get_params():
        classifier.set_params(random_state=seed)
    scaler = clone(BINS) if name == "gradient_boosting" else StandardScaler()
    return Pipeline([("scaler", scaler), ("classifier", classifier)])


def cross_validate_head(
    name: str,
    vectors: np.ndarray,
    labels: Sequence[int] | np.ndarray,
    speakers: Sequence[str] | np.ndarray | None,
    *,
    seed: int = 0,
    utterances: Sequence[int] | np.ndarray | None = None,
) -> InnerScore:
    """Try each parameter of a head's grid on held-out training speakers, and return the best with its score.

    Args:
        name: As in `HEADS`.
        vectors: ``(N, D)`` of the training utterances, float32.
        labels: ``(N,)`` from 0 to C - 1.
        speakers: ``(N,)``; no speaker is in both parts of a fold. None where speakers are unknown: the folds are
            then stratified by emotion and the score comes out too high.
        seed: Chooses what the classifier draws at random, and the folds where speakers are unknown.
        utterances: ``(N,)``; where speakers are unknown, the windows and augmented copies of an utterance stay in one
            part of a fold. None where each row is an utterance of its own.

    Raises:
        ValueError: If vectors are not finite or not in pairs with labels and speakers, a label has no utterance,
            or there is one speaker only.
    """
    vectors, labels = _checked(vectors, labels)
    pipeline, settings = build_head(name, seed=seed), _settings(name, vectors.shape)
    margins = np.empty((len(settings), len(labels), labels.max() + 1))
    with _one_thread():
        for fit_on, held_out in inner_folds(labels, speakers, seed=seed, utterances=utterances):
            rows = pipeline["scaler"].fit_transform(vectors[fit_on])
            others = pipeline["scaler"].transform(vectors[held_out])
            if name in ROTATABLE and rows.shape[1] > rows.shape[0]:
                rows, others = rotate(rows, others)
            for i, parameters in enumerate(settings):
                classifier = clone(pipeline["classifier"]).set_params(**parameters)
                _fit_balanced(classifier, rows, labels[fit_on])
                margins[i, held_out] = margins_of(classifier, others, margins.shape[2])
    scores = [balanced_accuracy_score(labels, each.argmax(1)) for each in margins]
    best = int(np.argmax(scores))
    return InnerScore(float(scores[best]), settings[best], margins[best])


def fit_head(
    name: str,
    vectors: np.ndarray,
    labels: Sequence[int] | np.ndarray,
    speakers: Sequence[str] | np.ndarray | None,
    *,
    seed: int = 0,
    inner: InnerScore | None = None,
) -> Head:
    """Fit a head on all training utterances, with the parameters and temperature of the inner cross-validation.

    Args:
        name: As in `HEADS`.
        vectors: ``(N, D)``, as in `cross_validate_head`.
        labels: ``(N,)`` from 0 to C - 1.
        speakers: ``(N,)`` or None.
        seed: Chooses what the classifier draws at random.
        inner: What `cross_validate_head` returned for the same arguments; None runs it, each row its own utterance.

    Raises:
        ValueError: As `cross_validate_head`.
    """
    vectors, labels = _checked(vectors, labels)
    inner = inner or cross_validate_head(name, vectors, labels, speakers, seed=seed)
    pipeline = build_head(name, seed=seed)
    pipeline["classifier"].set_params(**inner.parameters)
    with _one_thread():
        _fit_balanced(pipeline["classifier"], pipeline["scaler"].fit_transform(vectors), labels)
    return Head(name, pipeline, fit_margin_temperature(inner.margins, labels), inner.parameters, inner.ua)


def inner_folds(
    labels: np.ndarray,
    speakers: Sequence[str] | np.ndarray | None,
    *,
    seed: int = 0,
    utterances: Sequence[int] | np.ndarray | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows to fit on and rows held out, by speaker, or by utterance and stratified where speakers are unknown.

    Raises:
        ValueError: If there is one speaker only, some are unknown, or there are not as many as labels.
    """
    if speakers is None:
        kind = StratifiedKFold if utterances is None else StratifiedGroupKFold
        return kind(INNER_FOLDS, shuffle=True, random_state=seed).split(labels, labels, groups=utterances)
    speakers = known_speakers(speakers, len(labels))
    if (found := len(set(speakers))) < 2:
        raise ValueError("Expected at least two training speakers, found one: speakers=None holds out at random.")
    return GroupKFold(min(INNER_FOLDS, found)).split(labels, groups=speakers)


def rotate(rows: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows ``(n, D)`` and others ``(m, D)``, n < D, in n + 1 columns that leave every fit as it is.

    The first n are coordinates in the span of the rows, the last is each vector's distance from that span (zero for
    the rows), so inner products among the rows, and of the rows with the others, and all these distances stay.
    """
    basis, coordinates = np.linalg.qr(rows.T)  # (D, n), (n, n)
    inside = others @ basis
    outside = np.sqrt(np.maximum((others**2).sum(1) - (inside**2).sum(1), 0))
    return np.pad(coordinates.T, ((0, 0), (0, 1))), np.column_stack([inside, outside])


def _checked(vectors: np.ndarray, labels: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    vectors, labels = np.asarray(vectors), np.asarray(labels)
    if len(vectors) != len(labels):
        raise ValueError(f"Expected a label for each of {len(vectors)} vectors, found {len(labels)}.")
    if len(bad := np.flatnonzero(~np.isfinite(vectors).all(1))):
        raise ValueError(f"{len(bad)} of {len(vectors)} vectors are not finite (first: row {bad[0]}); leave them out.")
    if missing := sorted(set(range(max(labels.max() + 1, 2))) - set(labels.tolist())):
        raise ValueError(f"Labels {missing} have no training utterance: expected all from 0 to C - 1, at least two.")
    return vectors, labels


def _settings(name: str, shape: tuple[int, int]) -> list[dict[str, float]]:
    """Return the parameters of a head's grid for N vectors of D numbers; one empty set without a grid."""
    grid = dict(GRIDS.get(name, {}))
    if "gamma" in grid:
        grid["gamma"] = [gamma / shape[1] for gamma in grid["gamma"]]
    if "n_neighbors" in grid:  # there have to be as many rows in the smallest part that is fitted on
        grid["n_neighbors"] = sorted({min(neighbours, max(1, shape[0] // 3)) for neighbours in grid["n_neighbors"]})
    return list(ParameterGrid(grid))


def _fit_balanced(classifier: ClassifierMixin, rows: np.ndarray, labels: np.ndarray) -> None:
    """Fit in place, each emotion weighing the same where the classifier takes weights (k-NN does not)."""
    weights = {}
    if has_fit_parameter(classifier, "sample_weight"):
        weights["sample_weight"] = compute_sample_weight("balanced", labels)
    with parallel_config("threading", n_jobs=-1):  # for forests; they answer in one thread, in one order of sums
        classifier.fit(rows, labels, **weights)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in one thread, without warnings of what is meant so.

    The matrices are small: threads that wait for each other take ten times as long as one alone on a busy machine.
    """
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Stochastic Optimizer", ConvergenceWarning)  # the MLP's epochs are a choice
        warnings.filterwarnings("ignore", "Bins whose width|Feature .* is constant")  # such a number has fewer bins
        yield
