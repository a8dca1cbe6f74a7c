"""A linear readout of the layers of a Whisper encoder, held by the weights of the stock classifier.

The stock head reads one weighted sum of the layers. A readout reads the attention heads' outputs and the feed-forward
activations of every layer but the last. It fits into stock weights because all layers add to one stream of hidden
states: a few dimensions are appended to the stream, the output projections of the layers write the logits into them, no
layer reads them, and the head takes their mean over the frames. Of the configuration, `d_model` changes.

Shapes: B batch, D inputs of the readout, C classes.
"""

import math
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, WhisperForAudioClassification

SCALE = 1e-3  # of the logits in the stream: layer norms, which average over all dimensions, hardly notice them
ONE_LAYER = 40.0  # weight of the layer that is read, before the softmax: the others get less than float32 resolves


def append_dimensions(model: PreTrainedModel, classes: int) -> WhisperForAudioClassification:
    """Return the classifier with dimensions for the logits appended to its hidden states, where nothing is written yet.

    What the layers compute changes little: layer norms average over the appended zeros too.

    Raises:
        ValueError: If the model is not Whisper's.
    """
    if not isinstance(model, WhisperForAudioClassification):
        raise ValueError(f"head_init: readout is for Whisper, found '{model.config.model_type}'; use probe or random.")
    config = type(model.config).from_dict(model.config.to_dict())
    heads, former = config.encoder_attention_heads, config.d_model
    config.d_model = former + heads * math.ceil(classes / heads)  # each head gets as many dimensions
    config.use_weighted_layer_sum = True
    wide = WhisperForAudioClassification(config)
    stream = torch.arange(former)
    in_heads = torch.arange(config.d_model).unflatten(0, (heads, -1))[:, : former // heads].flatten()
    with torch.no_grad():
        for parameter in wide.parameters():
            parameter.zero_()
        for name, value in model.encoder.state_dict().items():
            places = _places(name, value, stream, in_heads)
            wide.get_parameter(f"encoder.{name}")[places] = _centre(name, value) * _factor(name, former, config)
        logits = torch.arange(classes)
        wide.projector.weight[logits, former + logits] = 1 / SCALE
        wide.classifier.weight[logits, logits] = 1.0
        wide.layer_weights[-2] = ONE_LAYER  # the input of the last layer
    for name, parameter in model.encoder.named_parameters():  # what is frozen stays so
        wide.get_parameter(f"encoder.{name}").requires_grad_(parameter.requires_grad)
    return wide.to(model.device).train(model.training)  # type: ignore[arg-type]


def read_layers(model: WhisperForAudioClassification) -> list[nn.Linear]:
    """Return the output projections whose inputs a readout reads: all but the last layer's."""
    layers: Any = model.encoder.layers[:-1]
    return [linear for layer in layers for linear in (layer.self_attn.out_proj, layer.fc2)]


@torch.no_grad()
def activations(model: WhisperForAudioClassification, input_features: torch.Tensor) -> torch.Tensor:
    """Return the mean over the frames of all that a readout reads, ``(B, D)``."""
    means: list[torch.Tensor] = []
    hooks = [
        linear.register_forward_pre_hook(lambda _, inputs: means.append(inputs[0].float().mean(1)))
        for linear in read_layers(model)
    ]
    try:
        model.encoder(input_features)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat(means, 1)


@torch.no_grad()
def write_readout(model: WhisperForAudioClassification, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Let a model answer ``weight (C, D)`` times its `activations` plus ``bias (C,)``, in place.

    Args:
        model: From `append_dimensions`.
        weight: Of the inputs, in the order of `read_layers`.
        bias: Of the logits.
    """
    layers = read_layers(model)
    first = int(model.projector.weight[0].argmax())  # of the appended dimensions
    for linear, part in zip(layers, weight.split([linear.in_features for linear in layers], 1), strict=True):
        linear.weight[first : first + len(part)] = SCALE * part
    model.classifier.bias.copy_(bias)


def _places(name: str, value: torch.Tensor, stream: torch.Tensor, in_heads: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the indices of a parameter's rows, and of its columns if it has them, in the widened model."""
    kind = name.split(".")[-2]
    whole = [torch.arange(size) for size in value.shape]
    rows = {"q_proj": in_heads, "k_proj": in_heads, "v_proj": in_heads, "fc1": whole[0], "embed_positions": whole[0]}
    if value.ndim == 1:
        return (rows.get(kind, stream),)
    columns = {"out_proj": in_heads, "conv1": whole[1], "fc2": whole[1]}
    return rows.get(kind, stream)[:, None], columns.get(kind, stream)


def _centre(name: str, value: torch.Tensor) -> torch.Tensor:
    """Return what is added to the stream without its mean over the dimensions, which layer norms subtract anyway.

    The closer the stream's mean is to zero, the less the appended zeros change it.
    """
    if "embed_positions" in name:
        return value - value.mean(1, keepdim=True)
    if ".out_proj." in name or ".fc2." in name:
        return value - value.mean(0, keepdim=True)
    return value


def _factor(name: str, former: int, config) -> float:
    """Return what a parameter is multiplied by, so that attention and layer norms give what they gave."""
    if ".q_proj." in name:  # divided by the root of the head's size
        return math.sqrt(config.d_model / former)
    if "layer_norm.weight" in name:  # divided by the deviation over all dimensions, of which the appended ones are zero
        return math.sqrt(former / config.d_model)
    return 1.0
