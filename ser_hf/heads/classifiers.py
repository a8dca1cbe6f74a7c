"""Classification heads (scikit-learn) on fixed-size vectors, with their hyperparameters and calibrated probabilities.

Every head is a pipeline of a scaler, fitted on the training rows only, and a classifier or a regressor of
`ser_hf.heads.regressors`.

Shapes: N utterances, D features, C outputs: emotions, or dimensions of ratings.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax
from sklearn.base import ClassifierMixin, clone, is_regressor
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ParameterGrid
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler
from sklearn.svm import SVC

from ser_hf.heads.margins import margins_of
from ser_hf.heads.regressors import REGRESSOR_GRIDS, REGRESSORS, predict_ratings

HEADS: dict[str, ClassifierMixin] = {
    "svm_rbf": SVC(kernel="rbf", decision_function_shape="ovo"),
    "svm_linear": SVC(kernel="linear", decision_function_shape="ovo"),
    "logistic_regression": LogisticRegression(max_iter=1000),
    # Few bins, and a tenth of the features per split, to fit in seconds at D = 4000.
    "gradient_boosting": HistGradientBoostingClassifier(max_iter=50, max_leaf_nodes=8, max_features=0.1, max_bins=32),
    # At least three samples per leaf: class weights have no effect on the output of a leaf with a single emotion.
    "random_forest": RandomForestClassifier(300, min_samples_leaf=3),
    "extra_trees": ExtraTreesClassifier(300, min_samples_leaf=3),
    "knn": KNeighborsClassifier(weights="distance", algorithm="brute"),
    "mlp": MLPClassifier(
        (128,), max_iter=60
    ),  # no early stopping: its validation rows would come from the training speakers
}
GRIDS: dict[str, dict[str, Sequence[float]]] = {
    "svm_rbf": {"C": (1, 10), "gamma": (0.1, 0.3, 1.0)},  # gamma in units of 1 / D
    "svm_linear": {"C": (0.0001, 0.0005, 0.0025, 0.0125)},
    "logistic_regression": {"C": (0.0003, 0.003, 0.03, 0.3)},
    "knn": {"n_neighbors": (5, 10, 20)},
    "mlp": {"alpha": (0.1, 1.0, 10.0)},
}
# Replaces the scaler for gradient boosting, whose own binning of weighted rows takes 20 s at D = 4000.
BINS = KBinsDiscretizer(
    32, encode="ordinal", strategy="quantile", quantile_method="averaged_inverted_cdf", subsample=None
)


@dataclass(frozen=True)
class Head:
    """Hold a fitted pipeline and the temperature that converts its margins to probabilities.

    Attributes:
        name: A key of `HEADS` or `REGRESSORS`.
        pipeline: Fitted pipeline with the steps "scaler" and "classifier", or "scaler" and "regressor".
        temperature: Divisor of the margins before the softmax; 1 for a regressor.
        parameters: Hyperparameters by name, as in `InnerScore`.
        inner_score: Score on held-out training speakers, as in `InnerScore`.

    Examples:
        >>> from ser_hf.heads.head_fitting import fit_head
        >>> rng = np.random.default_rng(0)
        >>> labels = np.arange(40) % 2
        >>> vectors = (rng.normal(size=(40, 3)) + 4 * labels[:, None]).astype(np.float32)
        >>> head = fit_head("svm_linear", vectors, labels, [f"speaker {i // 10}" for i in range(40)])
        >>> head.predict(vectors[:4])
        array([0, 1, 0, 1])
        >>> head.predict_proba(vectors).shape
        (40, 2)
    """

    name: str
    pipeline: Pipeline
    temperature: float
    parameters: dict[str, float]
    inner_score: float

    def predict_logits(self, vectors: np.ndarray) -> np.ndarray:
        """Return logits ``(N, C)`` for vectors ``(N, D)``, or the ratings that a regressor predicts."""
        scaler, estimator = (step for _, step in self.pipeline.steps)
        rows = scaler.transform(vectors)
        if is_regressor(estimator):
            return predict_ratings(estimator, rows)
        return margins_of(estimator, rows, len(estimator.classes_)) / self.temperature

    def predict_proba(self, vectors: np.ndarray) -> np.ndarray:
        """Return the probabilities ``(N, C)`` of a classifier for vectors ``(N, D)``; each row sums to 1."""
        return softmax(self.predict_logits(vectors), axis=1)

    def predict(self, vectors: np.ndarray) -> np.ndarray:
        """Return the most probable labels ``(N,)`` for vectors ``(N, D)``."""
        return self.predict_proba(vectors).argmax(1)


def build_head(name: str, *, seed: int = 0) -> Pipeline:
    """Return the unfitted pipeline of a head, with the steps "scaler" and "classifier" or "regressor".

    Raises:
        ValueError: If `name` is not a key of `HEADS` or `REGRESSORS`.
    """
    known = HEADS | REGRESSORS
    if name not in known:
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
        raise ValueError(f"Unknown head '{name}': expected one of {list(known)}. Did you mean '{nearest}'?")
    estimator = clone(known[name])
    if "random_state" in estimator.get_params():
        estimator.set_params(random_state=seed)
    scaler = clone(BINS) if name == "gradient_boosting" else StandardScaler()
    return Pipeline([("scaler", scaler), ("regressor" if name in REGRESSORS else "classifier", estimator)])


def list_parameters(name: str, shape: tuple[int, int]) -> list[dict[str, float]]:
    """Return the hyperparameter settings to try for ``(N, D)`` vectors; one empty setting for a head without a grid."""
    grid = dict((GRIDS | REGRESSOR_GRIDS).get(name, {}))
    for key in grid.keys() & {"gamma", "estimator__gamma"}:
        grid[key] = [gamma / shape[1] for gamma in grid[key]]
    if "n_neighbors" in grid:  # at most the number of rows in the smallest set of rows to fit on
        grid["n_neighbors"] = sorted({min(neighbours, max(1, shape[0] // 3)) for neighbours in grid["n_neighbors"]})
    return list(ParameterGrid(grid))
