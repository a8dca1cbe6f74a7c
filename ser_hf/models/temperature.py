"""Temperature scaling stored in the weights, so that stock pipelines return calibrated scores without extra code."""

import torch
from torch import nn
from transformers import PreTrainedModel

from ser_hf.models.checkpoint_loading import is_head


def fold_temperature(model: PreTrainedModel, temperature: float) -> None:
    """Divide the logits of a model by a temperature, in place, by scaling the weight and bias of its last layer.

    `config.calibration_temperature` records the temperature; after several calls, the product of all temperatures.

    Args:
        model: Audio classifier with one emotion per utterance.
        temperature: Positive number, such as the result of `ser_hf.evaluation.calibration.fit_temperature`.

    Raises:
        ValueError: If the model is for regression or multi-label classification, or its last layer is not linear.

    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599
    """
    config = model.config
    if config.problem_type not in (None, "single_label_classification"):
        raise ValueError(
            f"Expected a model of problem_type 'single_label_classification', found '{config.problem_type}': "
            "a temperature can only calibrate softmax scores. Do not calibrate this model."
        )
    head = [layer for name, layer in model.named_modules() if is_head(name)]
    if not head or not isinstance(head[-1], nn.Linear):
        found = type(head[-1]).__name__ if head else "no classifier"
        raise ValueError(
            f"Expected a classifier that ends in a linear layer, found {found} in {type(model).__name__}: "
            "the temperature cannot be stored in its weights. Do not calibrate this model."
        )
    with torch.no_grad():
        for parameter in head[-1].parameters():
            parameter.div_(temperature)
    config.calibration_temperature = getattr(config, "calibration_temperature", 1.0) * temperature
