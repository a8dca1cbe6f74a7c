"""Score predicted emotions against target emotions.

`wa`, `ua` and `macro_f1` are defined only here. Their argument is a confusion matrix, so that the same function scores
a single evaluation and the 1000 resamples of a bootstrap.

An emotion absent from the targets has no recall. It is left out of the means in `ua` and `macro_f1`, even if it is
predicted (such predictions still lower the recall of the target emotion).

Shapes: `C` emotions, `N` utterances. A confusion matrix is ``(..., C, C)`` counts, rows are targets and
columns predictions; leading axes are kept.
"""

import difflib
from collections.abc import Sequence

import numpy as np


def wa(confusion: np.ndarray) -> np.ndarray:
    """Return the weighted accuracy ``(...)``: the share of correct predictions.

    Args:
        confusion: ``(..., C, C)`` counts, rows are targets.

    Examples:
        >>> float(wa(np.array([[3, 1], [0, 4]])))
        0.875
    """
    return np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum(axis=(-2, -1))


def ua(confusion: np.ndarray) -> np.ndarray:
    """Return the unweighted average recall ``(...)`` over the emotions present in the targets.

    Args:
        confusion: ``(..., C, C)`` counts, rows are targets.

    Source:
        Schuller et al., "The INTERSPEECH 2009 Emotion Challenge".

    Examples:
        >>> float(ua(np.array([[9, 0], [1, 0]])))  # always predicts the frequent emotion
        0.5
    """
    return _mean_present(recall(confusion), confusion)


def macro_f1(confusion: np.ndarray) -> np.ndarray:
    """Return the mean F1 ``(...)`` over the emotions present in the targets.

    Args:
        confusion: ``(..., C, C)`` counts, rows are targets.

    Examples:
        >>> round(float(macro_f1(np.array([[1, 1], [0, 2]]))), 4)  # F1 is 2/3 and 4/5
        0.7333
    """
    return _mean_present(f1(confusion), confusion)


METRICS = {"wa": wa, "ua": ua, "macro_f1": macro_f1}


def ccc(targets: Sequence[float], predictions: Sequence[float]) -> float:
    """Return the concordance correlation coefficient, -1 to 1, of two series, for example of arousal.

    It is nan if both series are the same constant.

    Args:
        targets: ``(N,)`` target values.
        predictions: ``(N,)`` predicted values, in the order of `targets`.

    Source:
        Lin, "A concordance correlation coefficient to evaluate reproducibility", Biometrics 1989.

    Examples:
        >>> round(ccc([1.0, 2.0, 3.0], [2.0, 3.0, 4.0]), 4)  # perfectly correlated, but off by one
        0.5714
    """
    (target_var, covariance), (_, prediction_var) = np.cov(targets, predictions, bias=True)
    return float(2 * covariance / (target_var + prediction_var + (np.mean(targets) - np.mean(predictions)) ** 2))


def precision(confusion: np.ndarray) -> np.ndarray:
    """Return the precision ``(..., C)`` of each emotion, 0 if it is never predicted."""
    return _divide(_hits(confusion), confusion.sum(axis=-2))


def recall(confusion: np.ndarray) -> np.ndarray:
    """Return the recall ``(..., C)`` of each emotion, 0 if it is absent from the targets."""
    return _divide(_hits(confusion), confusion.sum(axis=-1))


def f1(confusion: np.ndarray) -> np.ndarray:
    """Return the harmonic mean ``(..., C)`` of precision and recall, 0 if an emotion never occurs."""
    return _divide(2 * _hits(confusion), confusion.sum(axis=-1) + confusion.sum(axis=-2))


def count_confusion(
    targets: Sequence | np.ndarray, predictions: Sequence | np.ndarray, emotions: Sequence
) -> np.ndarray:
    """Count how often each target received each prediction.

    Args:
        targets: ``(N,)`` emotions (or any labels listed in `emotions`).
        predictions: ``(N,)`` emotions, in the order of `targets`.
        emotions: The ``C`` emotions in the order of rows and columns.

    Returns:
        ``(C, C)`` int64 counts, rows are targets.

    Raises:
        ValueError: If the lengths differ, there is no utterance, or an emotion is not in `emotions`.

    Examples:
        >>> count_confusion(["sad", "sad", "angry"], ["sad", "angry", "angry"], ["angry", "sad"])
        array([[1, 0],
               [1, 1]])
    """
    if len(targets) != len(predictions):
        raise ValueError(f"Expected one prediction per target: found {len(predictions)} for {len(targets)} targets.")
    if len(targets) == 0:
        raise ValueError("Expected at least one utterance to score: found none.")
    labels = {emotion: label for label, emotion in enumerate(emotions)}
    unknown = {*targets, *predictions} - labels.keys()
    if unknown:
        name = min(unknown, key=str)
        raise ValueError(f"Unknown emotion {name!r}: expected one of {[*emotions]}.{_hint(name, emotions)}")
    confusion = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(confusion, ([labels[target] for target in targets], [labels[guess] for guess in predictions]), 1)
    return confusion


def compute_scores(targets: Sequence[str], predictions: Sequence[str], emotions: Sequence[str]) -> dict:
    """Compute every score of one evaluation.

    An emotion absent from `targets` has support 0 and is left out of the means `ua` and `macro_f1`.

    Args:
        targets: ``(N,)`` emotions.
        predictions: ``(N,)`` emotions, in the order of `targets`.
        emotions: The ``C`` emotions in the order of the confusion matrix.

    Returns:
        JSON-serialisable, scores are floats in [0, 1]: ``wa``, ``ua``, ``macro_f1``, ``per_emotion``
        {emotion: {precision, recall, f1, support}} and ``confusion`` (`C` lists of `C` counts).

    Raises:
        ValueError: If the lengths differ, there is no utterance, or an emotion is not in `emotions`.

    Examples:
        >>> scores = compute_scores(["sad", "sad", "angry"], ["sad", "angry", "angry"], ["angry", "sad"])
        >>> scores["ua"], scores["per_emotion"]["angry"]["precision"], scores["confusion"]
        (0.75, 0.5, [[1, 0], [1, 1]])
    """
    confusion = count_confusion(targets, predictions, emotions)
    columns = {
        "precision": precision(confusion),
        "recall": recall(confusion),
        "f1": f1(confusion),
        "support": confusion.sum(axis=-1),
    }
    return {
        **{name: float(metric(confusion)) for name, metric in METRICS.items()},
        "per_emotion": {
            emotion: {name: column[label].item() for name, column in columns.items()}
            for label, emotion in enumerate(emotions)
        },
        "confusion": confusion.tolist(),
    }


def _hits(confusion: np.ndarray) -> np.ndarray:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _divide(counts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    return np.divide(counts, totals, out=np.zeros(totals.shape), where=totals > 0)


def _mean_present(values: np.ndarray, confusion: np.ndarray) -> np.ndarray:
    return np.mean(values, axis=-1, where=confusion.sum(axis=-1) > 0)


def _hint(name: object, names: Sequence) -> str:
    nearest = difflib.get_close_matches(str(name), [str(other) for other in names], n=1)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""
