"""Losses for `Trainer(compute_loss_func=…)` on the stock heads.

Shapes: B batch, C classes.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional
from transformers.modeling_outputs import SequenceClassifierOutput


def balanced_weights(labels: Sequence[int], classes: int) -> torch.Tensor:
    """Return a weight per class ``(C,)``, inverse to its count and 1 on average over the utterances.

    Source: King & Zeng 2001; as `class_weight="balanced"` in scikit-learn.

    >>> balanced_weights([0, 0, 0, 1], 2)
    tensor([0.6667, 2.0000])
    """
    counts = np.bincount(labels, minlength=classes)
    return torch.tensor(len(labels) / (classes * counts), dtype=torch.float32)


class CrossEntropy:
    """Cross-entropy with class weights, averaged over the whole batch of an optimizer step.

    Dividing by the number of utterances in that step, not by their summed weights, keeps the loss the same
    however many processes and accumulation steps share the batch.

    Args:
        weights: Per class ``(C,)``; None weighs all classes alike.
        label_smoothing: Share of the target that is spread over all classes.
    """

    def __init__(self, weights: torch.Tensor | None = None, *, label_smoothing: float = 0.0):
        self.weights = weights
        self.label_smoothing = label_smoothing

    def __call__(
        self,
        outputs: SequenceClassifierOutput,
        labels: torch.Tensor,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Return the loss of logits ``(B, C)`` against labels ``(B,)``, or against shares ``(B, C)``."""
        logits = outputs["logits"].float()
        weights = None if self.weights is None else self.weights.to(logits.device)
        total = functional.cross_entropy(logits, labels, weights, reduction="sum", label_smoothing=self.label_smoothing)
        if num_items_in_batch is None:
            return total / len(labels)
        return total * (labels.shape[1] if labels.ndim == 2 else 1) / num_items_in_batch  # the Trainer counts shares
