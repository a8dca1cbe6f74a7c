"""The inputs of a linear head, and classifiers on these inputs that are stored in stock weights.

A stock head is linear: a projection, the mean over frames, a classifier. Its inputs are the mean hidden states. The
inputs of a readout (`ser_hf.models.readout`) are the activations of the layers.

Shapes: B utterances, D inputs, P projection, C emotions.
"""

from collections.abc import Mapping

import torch
from torch import nn
from transformers import PreTrainedModel

from ser_hf.heads.pooling import has_linear_head, without_head
from ser_hf.models.readout import SCALE, activations, write_readout


def check_linear(model: PreTrainedModel) -> None:
    """Check that the head of a model is linear in the mean over frames.

    Raises:
        ValueError: If it is not, or if the projection is too narrow for the emotions.
    """
    kind = model.config.model_type
    if not has_linear_head(model):
        reason = "has an activation between its layers" if kind == "mel" else "is not a projector and a classifier"
        raise ValueError(
            f"The head of '{kind}' {reason}, so it is not linear in the mean over frames, and what is special about a "
            "voice cannot be stored in its weights. Expected a stock head, as of wav2vec2, HuBERT, WavLM or Whisper."
        )
    projector, classifier = model.projector, model.classifier
    assert isinstance(projector, nn.Linear) and isinstance(classifier, nn.Linear)
    if projector.out_features < classifier.out_features:
        raise ValueError(
            f"The projection of the head has {projector.out_features} dimensions: expected at least "
            f"{classifier.out_features}, the number of emotions."
        )


def is_readout(model: PreTrainedModel) -> bool:
    """Tell whether the head of a model only passes on logits that its layers add to the hidden states."""
    if model.config.model_type != "whisper":
        return False
    classes: int = model.config.num_labels  # type: ignore[assignment]
    projector = model.get_parameter("projector.weight")
    passed = projector[:classes] == 1 / SCALE
    return bool((passed.sum(1) == 1).all()) and int(torch.count_nonzero(projector)) == classes


@torch.no_grad()
def head_inputs(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the inputs ``(B, D)`` of the head of a model in evaluation mode.

    Args:
        model: A model that passes `check_linear`.
        batch: Input features and, if the model has one, the attention mask.
    """
    if is_readout(model):
        return activations(model, batch["input_features"])  # type: ignore[arg-type]
    with without_head(model):
        return model(**batch).logits.float()


@torch.no_grad()
def write_classifier(model: PreTrainedModel, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Set the weights of a model so that its logits are ``head_inputs @ weight.T + bias``, in place.

    Args:
        model: A model that passes `check_linear`.
        weight: ``(C, D)``.
        bias: ``(C,)``.
    """
    projector, classifier = model.projector, model.classifier
    classes = len(bias)
    assert isinstance(projector, nn.Linear) and isinstance(classifier, nn.Linear)
    classifier.weight.zero_()
    classifier.weight[:, :classes] = torch.eye(classes)
    if is_readout(model):
        write_readout(model, weight, bias)  # type: ignore[arg-type]
        return
    projector.weight.zero_()
    projector.bias.zero_()
    projector.weight[:classes] = weight
    classifier.bias.copy_(bias)
