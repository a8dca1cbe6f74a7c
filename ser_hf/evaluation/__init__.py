"""Compute scores from predictions: metrics, the saved table of predictions, and its summary with intervals.

To keep this package light, the figures (matplotlib) are in `ser_hf.evaluation.figures` and the `evaluate.Metric` in
`ser_hf.evaluation.metric`; neither is imported here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
