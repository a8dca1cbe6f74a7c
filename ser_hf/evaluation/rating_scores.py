"""Score predicted ratings, such as of arousal, against the mean ratings of annotators.

Shapes: `N` utterances, `D` dimensions.
"""

import numpy as np


def rating_scores(targets: np.ndarray, values: np.ndarray) -> dict[str, np.ndarray]:
    """Return the scores of each dimension.

    A score is nan where it is undefined: the correlation with a constant, and the spread relative to a constant.

    Args:
        targets: ``(N, D)`` mean ratings.
        values: ``(N, D)`` predicted ratings.

    Returns:
        ``ccc`` (concordance correlation), ``pearson`` (correlation), ``mae`` (mean absolute error, in units of the
        ratings) and ``spread`` (standard deviation of the values, divided by that of the targets), each ``(D,)``.

    Source:
        Lin, "A concordance correlation coefficient to evaluate reproducibility", Biometrics 1989.

    Examples:
        >>> scores = rating_scores(np.array([[1.0], [2.0], [3.0]]), np.array([[2.0], [3.0], [4.0]]))
        >>> {name: round(float(value[0]), 4) for name, value in scores.items()}
        {'ccc': 0.5714, 'pearson': 1.0, 'mae': 1.0, 'spread': 1.0}
    """
    targets, values = np.asarray(targets, float), np.asarray(values, float)
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = ((targets - targets.mean(0)) * (values - values.mean(0))).mean(0)
        variances = targets.var(0) + values.var(0)
        spreads = targets.std(0), values.std(0)
        return {
            "ccc": 2 * covariance / (variances + (targets.mean(0) - values.mean(0)) ** 2),
            "pearson": covariance / (spreads[0] * spreads[1]),
            "mae": np.abs(targets - values).mean(0),
            "spread": np.where(spreads[0] > 0, spreads[1] / spreads[0], np.nan),
        }
