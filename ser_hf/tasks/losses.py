"""Define losses for `Trainer(compute_loss_func=…)` with stock heads.

Shapes: B batch, C classes.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional
from transformers.modeling_outputs import SequenceClassifierOutput


def balanced_weights(labels: Sequence[int], classes: int) -> torch.Tensor:
    """Return a weight per class ``(C,)``, inversely proportional to its count; the mean over all utterances is 1.

    Args:
        labels: Label ids of the training utterances.
        classes: Number C of classes; each needs at least one utterance.

    Source:
        King & Zeng 2001; the same as `class_weight="balanced"` in scikit-learn.

    Examples:
        >>> balanced_weights([0, 0, 0, 1], 2)
        tensor([0.6667, 2.0000])
    """
    counts = np.bincount(labels, minlength=classes)
    return torch.tensor(len(labels) / (classes * counts), dtype=torch.float32)


class CrossEntropy:
    """Compute the cross-entropy with class weights, averaged over the whole batch of an optimizer step.

    The sum is divided by the number of utterances of that step, not by the sum of their weights, so the loss does not
    depend on the number of processes and accumulation steps.

    Args:
        weights: Weight per class ``(C,)``; None for equal weights.
        label_smoothing: Share of the target that is distributed over all classes, 0 to 1.

    Examples:
        >>> outputs = SequenceClassifierOutput(logits=torch.zeros(3, 2))
        >>> CrossEntropy()(outputs, torch.tensor([0, 1, 1]))
        tensor(0.6931)
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
        """Return the loss of logits ``(B, C)``.

        Args:
            outputs: Output of the model, with logits.
            labels: Label ids ``(B,)``, or probabilities ``(B, C)`` of mixed utterances.
            num_items_in_batch: Number of label values in the whole batch of the step; None for this batch alone.
        """
        logits = outputs["logits"].float()
        weights = None if self.weights is None else self.weights.to(logits.device)
        total = functional.cross_entropy(logits, labels, weights, reduction="sum", label_smoothing=self.label_smoothing)
        if num_items_in_batch is None:
            return total / len(labels)
        return total * (labels.shape[1] if labels.ndim == 2 else 1) / num_items_in_batch  # the Trainer counts values
