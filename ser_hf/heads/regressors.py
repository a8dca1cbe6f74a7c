"""Regression heads (scikit-learn) on fixed-size vectors, for ratings from 0 to 1 on D dimensions."""

from collections.abc import Sequence

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.multioutput import MultiOutputRegressor
from sklearn.svm import SVR

# Half of the width in which support vector regression ignores errors: an eighth of a point on a scale from 1 to 5.
EPSILON = 0.03
REGRESSORS: dict[str, RegressorMixin] = {
    "ridge": Ridge(),
    "svr_linear": MultiOutputRegressor(SVR(kernel="linear", epsilon=EPSILON)),
    "svr_rbf": MultiOutputRegressor(SVR(kernel="rbf", epsilon=EPSILON)),
}
# One setting for all dimensions; gamma in units of 1 / the number of features.
REGRESSOR_GRIDS: dict[str, dict[str, Sequence[float]]] = {
    "ridge": {"alpha": (10, 100, 1000, 10_000, 100_000)},
    "svr_linear": {"estimator__C": (0.00001, 0.0001, 0.001, 0.01)},
    "svr_rbf": {"estimator__C": (0.1, 1), "estimator__gamma": (0.1, 0.3, 1.0)},
}


def predict_ratings(regressor: RegressorMixin, rows: np.ndarray) -> np.ndarray:
    """Return the ratings ``(N, D)`` that a fitted regressor predicts, which may lie slightly outside of 0 to 1.

    Args:
        regressor: Fitted regressor.
        rows: Scaled vectors, one of N per row.
    """
    return regressor.predict(rows).reshape(len(rows), -1)  # Ridge drops the axis of a single dimension
