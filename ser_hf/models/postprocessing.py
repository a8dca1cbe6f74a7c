"""Compute scores from logits as the stock pipeline does, and ratings on the scale of the annotators."""

import numpy as np
from scipy.special import expit, softmax


def to_scores(logits: np.ndarray, problem_type: str | None) -> np.ndarray:
    """Return the scores ``(B, C)`` of logits ``(B, C)`` as `pipeline` computes them, in float64.

    Args:
        logits: Logits of a model, B utterances and C outputs.
        problem_type: `config.problem_type` of the model; None counts as "single_label_classification".

    Source: `AudioClassificationPipeline.postprocess` of transformers, which takes no function for a regression, the
    sigmoid for several labels at once, and the softmax for all others.

    Examples:
        >>> to_scores(np.array([[0.25, 0.25]]), None).tolist()
        [[0.5, 0.5]]
        >>> to_scores(np.array([[0.25, 0.25]]), "regression").tolist()
        [[0.25, 0.25]]
    """
    logits = logits.astype(np.float64)
    if problem_type == "regression":
        return logits
    return expit(logits) if problem_type == "multi_label_classification" else softmax(logits, -1)


def to_ratings(values: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """Return ratings on the scale of the annotators, given the values of a regression; the shape is kept.

    Args:
        values: Predicted values; those outside 0 to 1 are clipped.
        scale: Lowest and highest rating.

    Examples:
        >>> to_ratings(np.array([0.5, 1.1]), (1, 7)).tolist()
        [4.0, 7.0]
    """
    low, high = scale
    return low + (high - low) * np.clip(values, 0, 1)
