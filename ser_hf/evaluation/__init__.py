"""Compute scores from predictions: metrics, the saved table of predictions, and its summary with intervals.

To keep this package light, the figures (matplotlib) are in `ser_hf.evaluation.figures` and the `evaluate.Metric` in
`ser_hf.evaluation.metric`; neither is imported here.
"""

from ser_hf.evaluation.predictions import Scores, read_predictions, summarize, write_predictions
from ser_hf.evaluation.scores import ccc, compute_scores, count_confusion, macro_f1, ua, wa

__all__ = [
    "Scores",
    "ccc",
    "compute_scores",
    "count_confusion",
    "macro_f1",
    "read_predictions",
    "summarize",
    "ua",
    "wa",
    "write_predictions",
]
