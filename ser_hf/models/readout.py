"""A linear readout of the layers of a Whisper encoder, stored in the weights of the stock classifier.

The input of the stock head is one weighted sum of the layers. The inputs of a readout are the outputs of the attention
heads and the feed-forward activations of all layers except the last. Stock weights can represent it because every layer
adds its output to the residual stream: a few dimensions are appended to the stream, the output projections of the
layers add the logits to them, no layer uses them as input, and the head averages them over the frames. In the
configuration, only `d_model` and `use_weighted_layer_sum` change.

Shapes: B batch, D inputs of the readout, C classes.
"""

import math
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, WhisperForAudioClassification

SCALE = 1e-3  # of the logits in the residual stream, so small that layer norms, which use all dimensions, barely change
ONE_LAYER = 40.0  # layer weight before the softmax; the weights of all other layers vanish in float32


def append_dimensions(model: PreTrainedModel, classes: int) -> WhisperForAudioClassification:
    """Return a copy of a classifier with zero dimensions for the logits appended to the hidden states.

    The outputs of the layers change slightly, because layer norms include the appended zeros.

    Args:
        model: Whisper classifier.
        classes: Number of classes C.

    Raises:
        ValueError: If the model is not a Whisper classifier.
    """
    if not isinstance(model, WhisperForAudioClassification):
        raise ValueError(f"head_init: readout is for Whisper, found '{model.config.model_type}'; use probe or random.")
    config = type(model.config).from_dict(model.config.to_dict())
    heads, former = config.encoder_attention_heads, config.d_model
    config.d_model = former + heads * math.ceil(classes / heads)  # the same number of dimensions for each head
    config.use_weighted_layer_sum = True
    wide = WhisperForAudioClassification(config)
    stream = torch.arange(former)
    in_heads = torch.arange(config.d_model).unflatten(0, (heads, -1))[:, : former // heads].flatten()
    with torch.no_grad():
        for parameter in wide.parameters():
            parameter.zero_()
        for name, value in model.encoder.state_dict().items():
            indices = _indices(name, value, stream, in_heads)
            wide.get_parameter(f"encoder.{name}")[indices] = _centre(name, value) * _factor(name, former, config)
        logits = torch.arange(classes)
        wide.projector.weight[logits, former + logits] = 1 / SCALE
        wide.classifier.weight[logits, logits] = 1.0
        wide.layer_weights[-2] = ONE_LAYER  # the input of the last layer
    for name, parameter in model.encoder.named_parameters():  # frozen parameters stay frozen
        wide.get_parameter(f"encoder.{name}").requires_grad_(parameter.requires_grad)
    return wide.to(model.device).train(model.training)  # type: ignore[arg-type]


def read_layers(model: WhisperForAudioClassification) -> list[nn.Linear]:
    """Return the output projections of all layers except the last, whose inputs are the inputs of a readout."""
    layers: Any = model.encoder.layers[:-1]
    return [linear for layer in layers for linear in (layer.self_attn.out_proj, layer.fc2)]


@torch.no_grad()
def activations(model: WhisperForAudioClassification, input_features: torch.Tensor) -> torch.Tensor:
    """Return the inputs of a readout, averaged over the frames, ``(B, D)``.

    Args:
        model: Whisper classifier.
        input_features: Log-mel spectrograms ``(B, M, F)``, M mel bins.
    """
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
    """Set the weights of a model so that its logits are ``activations @ weight.T + bias``, in place.

    Args:
        model: From `append_dimensions`.
        weight: ``(C, D)``, for the inputs in the order of `read_layers`.
        bias: ``(C,)``.
    """
    layers = read_layers(model)
    first = int(model.projector.weight[0].argmax())  # first appended dimension
    for linear, part in zip(layers, weight.split([linear.in_features for linear in layers], 1), strict=True):
        linear.weight[first : first + len(part)] = SCALE * part
    model.classifier.bias.copy_(bias)


def _indices(name: str, value: torch.Tensor, stream: torch.Tensor, in_heads: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the row indices, and for matrices the column indices, of a parameter within that of the widened model."""
    kind = name.split(".")[-2]
    whole = [torch.arange(size) for size in value.shape]
    rows = {"q_proj": in_heads, "k_proj": in_heads, "v_proj": in_heads, "fc1": whole[0], "embed_positions": whole[0]}
    if value.ndim == 1:
        return (rows.get(kind, stream),)
    columns = {"out_proj": in_heads, "conv1": whole[1], "fc2": whole[1]}
    return rows.get(kind, stream)[:, None], columns.get(kind, stream)


def _centre(name: str, value: torch.Tensor) -> torch.Tensor:
    """Return a parameter so that its contribution to the residual stream has zero mean over the dimensions.

    Layer norms subtract this mean anyway. With a mean close to zero, the appended zeros change it least.
    """
    if "embed_positions" in name:
        return value - value.mean(1, keepdim=True)
    if ".out_proj." in name or ".fc2." in name:
        return value - value.mean(0, keepdim=True)
    return value


def _factor(name: str, former: int, config) -> float:
    """Return the factor of a parameter that keeps the outputs of attention and layer norms unchanged."""
    if ".q_proj." in name:  # attention scores are divided by the square root of the head size
        return math.sqrt(config.d_model / former)
    if "layer_norm.weight" in name:  # the appended zeros reduce the deviation over all dimensions
        return math.sqrt(former / config.d_model)
    return 1.0
