"""Define losses for `Trainer(compute_loss_func=…)` with stock heads.

Shapes: B batch, C classes, D dimensions, S all utterances of an optimizer step.
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

    Source: King & Zeng 2001; the same as `class_weight="balanced"` in scikit-learn.

    Examples:
        >>> balanced_weights([0, 0, 0, 1], 2)
        tensor([0.6667, 2.0000])
    """
    counts = np.bincount(labels, minlength=classes)
    return torch.tensor(len(labels) / (classes * counts), dtype=torch.float32)


def effective_weights(labels: Sequence[int], classes: int) -> torch.Tensor:
    """Return a weight per class ``(C,)``, inverse to its effective number of samples; the mean over utterances is 1.

    The effective number (1 - 0.999^n) / 0.001 of n utterances is close to n for rare classes and at most 1000. Frequent
    classes therefore get higher weights than from `balanced_weights`.

    Args:
        labels: Label ids of the training utterances.
        classes: Number C of classes; each needs at least one utterance.

    Source:
        Cui et al. 2019, Class-Balanced Loss Based on Effective Number of Samples, https://arxiv.org/abs/1901.05555

    Examples:
        >>> effective_weights([0] * 3000 + [1] * 1000, 2)
        tensor([0.8883, 1.3350])
    """
    counts = np.bincount(labels, minlength=classes)
    weights = 1 / (1 - 0.999**counts)
    return torch.tensor(weights / weights[np.asarray(labels)].mean(), dtype=torch.float32)


def prior_logits(labels: Sequence[int], classes: int, strength: float) -> torch.Tensor | None:
    """Return the logarithm of the share of each class ``(C,)``, times `strength`; None if `strength` is 0.

    Args:
        labels: Label ids of the training utterances.
        classes: Number C of classes; each needs at least one utterance.
        strength: 1 for the optimum of the balanced error.

    Source:
        Menon et al. 2021, Long-tail learning via logit adjustment, https://arxiv.org/abs/2007.07314

    Examples:
        >>> prior_logits([0, 0, 0, 1], 2, 1.0)
        tensor([-0.2877, -1.3863])
    """
    shares = np.bincount(labels, minlength=classes) / len(labels)
    return torch.tensor(strength * np.log(shares), dtype=torch.float32) if strength else None


class CrossEntropy:
    """Compute the cross-entropy with class weights, averaged over the whole batch of an optimizer step.

    The sum is divided by the number of utterances of that step, not by the sum of their weights, so the loss does not
    depend on the number of processes and accumulation steps.

    Args:
        weights: Weight per class ``(C,)``; None for equal weights.
        label_smoothing: Share of the target that is distributed over all classes, 0 to 1.
        focal_gamma: Exponent of the focal loss, which reduces the loss of utterances that are recognised well; 0 for
            the cross-entropy.
        adjustment: Values ``(C,)`` that are added to the logits in training only, from `prior_logits`. The weights of
            the model stay those of a stock checkpoint, and its scores are not adjusted.

    Source:
        Lin et al. 2017, Focal Loss for Dense Object Detection, https://arxiv.org/abs/1708.02002

    Examples:
        >>> outputs = SequenceClassifierOutput(logits=torch.zeros(3, 2))
        >>> CrossEntropy()(outputs, torch.tensor([0, 1, 1]))
        tensor(0.6931)
        >>> CrossEntropy(focal_gamma=2)(outputs, torch.tensor([0, 1, 1]))
        tensor(0.1733)
    """

    def __init__(
        self,
        weights: torch.Tensor | None = None,
        *,
        label_smoothing: float = 0.0,
        focal_gamma: float = 0.0,
        adjustment: torch.Tensor | None = None,
    ):
        self.weights = weights
        self.label_smoothing = label_smoothing
        self.focal_gamma = focal_gamma
        self.adjustment = adjustment

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
        if self.adjustment is not None and torch.is_grad_enabled():
            logits = logits + self.adjustment.to(logits.device)
        weights = None if self.weights is None else self.weights.to(logits.device)
        if self.focal_gamma:
            total = self._focal_loss(logits, labels, weights)
        else:
            total = functional.cross_entropy(
                logits, labels, weights, reduction="sum", label_smoothing=self.label_smoothing
            )
        if num_items_in_batch is None:
            return total / len(labels)
        return total * (labels.shape[1] if labels.ndim == 2 else 1) / num_items_in_batch  # the Trainer counts values

    def _focal_loss(self, logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
        classes = logits.shape[1]
        targets = labels if labels.ndim == 2 else functional.one_hot(labels, classes)
        targets = (1 - self.label_smoothing) * targets + self.label_smoothing / classes
        logs = functional.log_softmax(logits, dim=1)
        missed = (-torch.expm1(logs)).clamp(min=1e-6)  # 1 - p; the gradient of a root is infinite at 0
        losses = -targets * missed**self.focal_gamma * logs
        return (losses if weights is None else losses * weights).sum()


class VoteDivergence:
    """Compute the Kullback-Leibler divergence of the predicted distribution from the votes of the annotators.

    Args:
        smoothing: Votes that are added to every class.
        dropout: Probability in training that the vote of an annotator is left out, 0 to 1; at least one remains.

    Source:
        Chou et al. 2024, Minority Views Matter, https://arxiv.org/abs/2404.15083, for training on all annotations.

    Examples:
        >>> outputs = SequenceClassifierOutput(logits=torch.zeros(1, 2))
        >>> VoteDivergence()(outputs, torch.tensor([[3.0, 1.0]]))
        tensor(0.1308)
    """

    def __init__(self, *, smoothing: float = 0.0, dropout: float = 0.0):
        self.smoothing = smoothing
        self.dropout = dropout

    def __call__(
        self,
        outputs: SequenceClassifierOutput,
        labels: torch.Tensor,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Return the loss of logits ``(B, C)``.

        Args:
            outputs: Output of the model, with logits.
            labels: Number of votes for each class ``(B, C)``.
            num_items_in_batch: Number of label values in the whole batch of the step; None for this batch alone.
        """
        if self.dropout and torch.is_grad_enabled():
            left = torch.binomial(labels.round(), torch.full_like(labels, 1 - self.dropout))
            labels = torch.where(left.sum(1, keepdim=True) > 0, left, labels)
        votes = labels + self.smoothing
        votes = votes / votes.sum(1, keepdim=True)
        logs = functional.log_softmax(outputs["logits"].float(), dim=1)
        total = functional.kl_div(logs, votes, reduction="sum")
        return total / len(labels) if num_items_in_batch is None else total * labels.shape[1] / num_items_in_batch


class RegressionLoss:
    """Compute 1 - CCC, the mean squared error, or their sum, averaged over the dimensions.

    The CCC of a part of a batch differs from the CCC of the batch. Therefore the loss is computed over all utterances
    of an optimizer step: `step` has the values that the model predicts for them, and only the values of the current
    part have gradients. The gradients of the parts add up to the gradient of the whole step.

    Args:
        kind: "ccc", "mse" or "ccc_mse".

    Attributes:
        step: Values and labels ``(S, D)`` of a step, and the first row of the next part in them; set by the Trainer if
            a step has several parts, else None.
        parts: Number of parts of a step, over all processes.

    Source:
        Trigeorgis et al. 2016, Adieu Features?, https://doi.org/10.1109/ICASSP.2016.7472669, for the loss 1 - CCC.

    Examples:
        >>> outputs = SequenceClassifierOutput(logits=torch.tensor([[0.2], [0.3], [0.4]]))
        >>> RegressionLoss("ccc")(outputs, torch.tensor([[0.1], [0.2], [0.3]]))
        tensor(0.4286)
    """

    def __init__(self, kind: str):
        self.kind = kind
        self.step: tuple[torch.Tensor, torch.Tensor, int] | None = None
        self.parts = 1

    def __call__(
        self,
        outputs: SequenceClassifierOutput,
        labels: torch.Tensor,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Return the loss of logits ``(B, D)`` with labels ``(B, D)``; the losses of the parts of a step add up.

        `num_items_in_batch` is not used: it is the number of label values in the whole step.
        """
        values = outputs["logits"].float()
        if self.step is None or not torch.is_grad_enabled():
            return self._compare(values, labels)
        others, whole, first = self.step
        last = first + len(values)
        self.step = others, whole, last
        loss = self._compare(torch.cat([others[:first], values, others[last:]]), whole)
        return loss - loss.detach() * (1 - 1 / self.parts)  # the gradient of the step, and a part of its value

    def _compare(self, values: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        error = functional.mse_loss(values, labels) if "mse" in self.kind else torch.zeros((), device=values.device)
        return error + (1 - concordance(values, labels).mean()) if "ccc" in self.kind else error


def concordance(values: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the concordance correlation coefficient of each dimension ``(D,)``, given two ``(B, D)``.

    A small constant in the denominator makes it 0 instead of undefined if all values and labels are equal.

    Examples:
        >>> concordance(torch.tensor([[2.0], [3.0], [4.0]]), torch.tensor([[1.0], [2.0], [3.0]]))
        tensor([0.5714])
    """
    offset = values.mean(0) - labels.mean(0)
    covariance = ((values - values.mean(0)) * (labels - labels.mean(0))).mean(0)
    return 2 * covariance / (values.var(0, correction=0) + labels.var(0, correction=0) + offset**2 + 1e-8)
