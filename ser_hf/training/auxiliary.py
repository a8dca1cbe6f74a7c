"""Predict ratings as an auxiliary task while emotions or votes are trained, with one encoder.

In training, the last layer of the head has C + D rows instead of C: the first C are those of the task, the last D
predict ratings. Validation, calibration and the saved checkpoint have the first C only, so the checkpoint stays stock.
The last D are saved with the same encoder as a second stock checkpoint.

Shapes: B batch, C outputs of the task, D dimensions of the auxiliary task.
"""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import nn
from transformers import PreTrainedModel, SequenceFeatureExtractor
from transformers.modeling_outputs import SequenceClassifierOutput

from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.model_arguments import ModelArguments
from ser_hf.tasks import CONFIG_KEY, load_task


def check_auxiliary(data: DataArguments, model_args: ModelArguments) -> None:
    """Raise ValueError if the recipe has an auxiliary task and an option that cannot be combined with it."""
    if data.auxiliary_task == "none":
        return
    for name, found, needed in (
        ("mixup", data.mixup, 0.0),
        ("adapter", model_args.adapter, None),
        ("head_init", model_args.head_init, "random"),
    ):
        if found != needed:
            raise ValueError(f"{name}: cannot be combined with auxiliary_task. Leave out one of both.")


def list_dimensions(data: DataArguments, train: Dataset) -> list[str]:
    """Return the dimensions of the auxiliary task: those with different ratings; empty if there is no auxiliary task.

    Raises:
        ValueError: If no dimension has different ratings.
    """
    if data.auxiliary_task == "none":
        return []
    names = [name for name in data.dimensions if len(set(train[name]) - {None}) > 1]
    if not names:
        raise ValueError(
            f"auxiliary_task: expected ratings of {', '.join(data.dimensions)}, found none, or equal ones only, in "
            f"{len(train)} training utterances. Leave it out."
        )
    return names


def widen_head(model: PreTrainedModel, count: int) -> None:
    """Add random rows to the last layer of the head, in place; the state of the random generator is kept.

    Args:
        model: Audio classifier.
        count: Number D of rows.

    Raises:
        ValueError: If the last layer is not linear.
    """
    stock: Any = model.classifier
    if not isinstance(stock, nn.Linear):
        found = type(stock).__name__
        raise ValueError(f"auxiliary_task: expected a linear last layer, found {found} in {type(model).__name__}.")
    with torch.random.fork_rng():
        wide = nn.Linear(stock.in_features, stock.out_features + count, device=stock.weight.device)
    with torch.no_grad():
        for name, values in stock.named_parameters():
            wide.get_parameter(name)[: len(values)] = values
    model.classifier = wide


def narrow_head(model: PreTrainedModel, loss: Any) -> nn.Linear | None:
    """Remove the rows that `widen_head` added, in place, and return them as a layer that predicts ratings.

    Args:
        model: Audio classifier.
        loss: Loss of its training; None is returned unless it is an `AuxiliaryLoss`.
    """
    if not isinstance(loss, AuxiliaryLoss):
        return None
    wide: Any = model.classifier
    model.classifier, auxiliary = (
        _select_rows(wide, rows) for rows in (slice(loss.outputs), slice(loss.outputs, None))
    )
    deviations, means = (values.to(wide.weight.device) for values in (loss.deviations, loss.means))
    with torch.no_grad():
        auxiliary.weight *= deviations[:, None]
        auxiliary.bias.copy_(auxiliary.bias * deviations + means)
    return auxiliary


def _select_rows(layer: nn.Linear, rows: slice) -> nn.Linear:
    selected = nn.Linear(layer.in_features, len(layer.bias[rows]), device=layer.weight.device)
    selected.load_state_dict({name: values[rows] for name, values in layer.state_dict().items()})
    return selected


class AuxiliaryLoss:
    """Add the error of the predicted ratings to the loss of a task.

    The last D logits are standardised ratings, with mean 0 and deviation 1 in the training ratings. The error is the
    mean squared error, so 1 for a constant prediction; missing ratings count as 0. In validation, the loss is that of
    the task alone.

    Args:
        main: Loss of the task.
        ratings: Training ratings ``(N, D)`` from 0 to 1; nan if missing.
        outputs: Number C of outputs of the task.
        columns: Number of columns of its labels: 1 for categories, C for votes.
        weight: Factor of the error.

    Attributes:
        means: Mean of each dimension ``(D,)``.
        deviations: Standard deviation of each dimension ``(D,)``.

    Examples:
        >>> loss = AuxiliaryLoss(lambda outputs, labels, _: torch.zeros(()), np.array([[0.0], [1.0]]), 2, 1, 0.5)
        >>> labels = torch.tensor([[0.0, 1.0], [1.0, 0.0]])  # category and rating of two utterances
        >>> loss(SequenceClassifierOutput(logits=torch.zeros(2, 3)), labels)
        tensor(0.5000)
    """

    def __init__(self, main: Any, ratings: np.ndarray, outputs: int, columns: int, weight: float):
        self.main = main
        self.means = torch.tensor(np.nanmean(ratings, axis=0), dtype=torch.float32)
        self.deviations = torch.tensor(np.nanstd(ratings, axis=0), dtype=torch.float32)
        self.outputs = outputs
        self.columns = columns
        self.weight = weight

    def __call__(
        self,
        outputs: SequenceClassifierOutput,
        labels: torch.Tensor,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Return the loss of logits ``(B, C + D)``.

        Args:
            outputs: Output of the model, with logits.
            labels: Labels of the task, followed by D ratings in each row; or the labels of the task alone.
            num_items_in_batch: Number of label values in the whole batch of the step; None for this batch alone.
        """
        logits, count = outputs["logits"].float(), len(self.means)
        own = SequenceClassifierOutput(logits=logits[:, : self.outputs])
        if labels.ndim == 1 or labels.shape[1] == self.columns:
            return self.main(own, labels, num_items_in_batch)
        labels, ratings = labels[:, :-count], labels[:, -count:]
        share = labels.shape[1] / (labels.shape[1] + count)  # of the label values
        values = None if num_items_in_batch is None else num_items_in_batch * share
        utterances = len(labels) if values is None else values / labels.shape[1]
        known, device = ~ratings.isnan(), logits.device
        targets = (ratings.nan_to_num() - self.means.to(device)) / self.deviations.to(device)
        differences = (logits[:, self.outputs :] - targets) * known
        error = differences.square().mean(1).sum() / utterances
        return self.main(own, labels[:, 0].long() if labels.shape[1] == 1 else labels, values) + self.weight * error


def save_auxiliary(
    model: PreTrainedModel,
    feature_extractor: SequenceFeatureExtractor,
    head: nn.Linear,
    *,
    dimensions: list[str],
    scale: tuple[float, float],
    folder: Path,
) -> None:
    """Save the encoder with the head of the auxiliary task as a stock checkpoint.

    Args:
        model: The trained model, which is not changed.
        feature_extractor: Its feature extractor.
        head: Last layer for the D dimensions, from `narrow_head`.
        dimensions: Names of the dimensions.
        scale: Lowest and highest rating of the corpora.
        folder: Folder of the checkpoint.
    """
    config, classifier = model.config, model.classifier
    model.config, model.classifier = copy.deepcopy(config), head
    names = dict(enumerate(dimensions))
    try:
        model.config.update({"id2label": names, "label2id": {name: i for i, name in names.items()}})
        model.config.update({"problem_type": load_task("dimensions").PROBLEM_TYPE, "rating_scale": list(scale)})
        setattr(model.config, CONFIG_KEY, "dimensions")
        for name in ("calibration_temperature", "majority_temperature", "uncertainty_threshold"):
            vars(model.config).pop(name, None)
        model.save_pretrained(folder)
        feature_extractor.save_pretrained(folder)
    finally:
        model.config, model.classifier = config, classifier
