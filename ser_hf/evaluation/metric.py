"""Wrap the scores as an `evaluate.Metric`, for `evaluate.evaluator` and the Trainer's `compute_metrics`.

It is a local class because `evaluate.load("accuracy")` downloads code from the Hub.
"""

import evaluate
from datasets import Features, Value

from ser_hf.evaluation.scores import METRICS, count_confusion


class SpeechEmotionMetric(evaluate.Metric):
    """Compute weighted accuracy, unweighted average recall and macro-F1 from label ids.

    `compute` takes `predictions` and `references`, ``(N,)`` ids each, or no arguments after `add_batch`. The scores are
    floats in [0, 1], as defined in `ser_hf.evaluation.scores`.

    Examples:
        >>> SpeechEmotionMetric().compute(predictions=[0, 1, 1, 1], references=[0, 0, 1, 1])["ua"]
        0.75
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Speech emotion recognition scores: WA (accuracy), UA (macro recall) and macro-F1.",
            citation="",
            inputs_description="predictions and references: label ids, one per utterance",
            features=Features({"predictions": Value("int64"), "references": Value("int64")}),
        )

    def _compute(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        labels = sorted({*references, *predictions})
        confusion = count_confusion(references, predictions, labels)
        return {name: float(metric(confusion)) for name, metric in METRICS.items()}
