"""Calibration inside the weights: any stock pipeline then shows calibrated scores, without extra code."""

import torch
from torch import nn
from transformers import PreTrainedModel

from ser_hf.models.backbone import is_head


def fold_temperature(model: PreTrainedModel, temperature: float) -> None:
    """Divide a model's logits by a temperature, in place, through the weight and bias of its last layer.

    `config.calibration_temperature` keeps the temperature on record; folded again, the product.

    Args:
        model: Audio classifier that gives one emotion per utterance.
        temperature: Positive, such as `ser_hf.evaluation.calibration.fit_temperature` returns.

    Raises:
        ValueError: If the model is for regression or several labels, or its last layer is not linear.
    """
    config = model.config
    if config.problem_type not in (None, "single_label_classification"):
        raise ValueError(
            f"Expected a model of problem_type 'single_label_classification', found '{config.problem_type}': "
            "a temperature calibrates the scores of a softmax only. Leave it uncalibrated."
        )
    head = [layer for name, layer in model.named_modules() if is_head(name)]
    if not head or not isinstance(head[-1], nn.Linear):
        found = type(head[-1]).__name__ if head else "no classifier"
        raise ValueError(
            f"Expected a classifier that ends in a linear layer, found {found} in {type(model).__name__}: "
            "there are no weights that a temperature can be folded into. Leave it uncalibrated."
        )
    with torch.no_grad():
        for parameter in head[-1].parameters():
            parameter.div_(temperature)
    config.calibration_temperature = getattr(config, "calibration_temperature", 1.0) * temperature
