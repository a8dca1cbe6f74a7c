"""The frozen layers at the start of a model: how many there are, what they compute, and how to run the others on it.

In training, the stock code runs on what the frozen part has computed before: the modules of the frozen part hand their
input on. Parameters and their names do not change. The frozen part has no dropout, so that its outputs do not change
from epoch to epoch.

Shapes: B batch, F frames, D size of a frame.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

# Architectures whose encoder is a list of layers after a position embedding by a convolution.
SPEECH_ENCODERS = ("data2vec-audio", "hubert", "unispeech", "unispeech-sat", "wav2vec2", "wavlm")


class FrozenPart(NamedTuple):
    """Describe the modules of a model that are not trained and come before all trained ones.

    Attributes:
        layers: Number of frozen transformer layers; 0 for the convolutions only.
        modules: The frozen modules.
        last: The module whose output is the output of the part.
        channels_first: Whether this output is ``(B, D, F)`` instead of ``(B, F, D)``.
    """

    layers: int
    modules: list[nn.Module]
    last: nn.Module
    channels_first: bool


def find_frozen_part(model: PreTrainedModel) -> FrozenPart | None:
    """Return the frozen part of an audio classifier; None if there is none, or its output changes in training.

    With SpecAugment of hidden states or a learned layer sum, it consists of the convolutions only. That of Whisper
    contains at least one layer; its convolutions are cheap.
    """
    config: Any = model.config
    base: Any = model.base_model
    layers = 0 if getattr(config, "use_weighted_layer_sum", False) else count_frozen_layers(model)
    if config.model_type == "whisper":
        encoder: Any = model.get_submodule("encoder")
        modules = [encoder.conv1, encoder.conv2, encoder.embed_positions, *encoder.layers[:layers]]
        return FrozenPart(layers, modules, encoder.layers[layers - 1], False) if layers else None
    if config.model_type not in SPEECH_ENCODERS or not is_frozen(base.feature_extractor):
        return None
    modules = [base.feature_extractor]
    if not layers or getattr(config, "apply_spec_augment", True) and _masks(config):
        return FrozenPart(0, modules, base.feature_extractor, True)
    encoder = base.encoder
    modules += [base.feature_projection, encoder.pos_conv_embed, encoder.dropout, *encoder.layers[:layers]]
    if not _is_stable(config):
        modules.append(encoder.layer_norm)
    return FrozenPart(layers, modules, encoder.layers[layers - 1], False)


def count_frozen_layers(model: PreTrainedModel) -> int:
    """Return the number of transformer layers that are frozen together with everything before them."""
    base: Any = model.base_model
    if model.config.model_type == "whisper":
        encoder: Any = model.get_submodule("encoder")
        before = [encoder.conv1, encoder.conv2]
    elif model.config.model_type in SPEECH_ENCODERS:
        encoder = base.encoder
        before = [base.feature_extractor, base.feature_projection, encoder.pos_conv_embed]
        before += [] if _is_stable(model.config) else [encoder.layer_norm]
    else:
        return 0
    if not all(map(is_frozen, before)):
        return 0
    frozen = [is_frozen(layer) for layer in encoder.layers]
    return frozen.index(False) if False in frozen else len(frozen)


def is_frozen(module: nn.Module) -> bool:
    """Return whether no parameter of a module is trained."""
    return not any(parameter.requires_grad for parameter in module.parameters())


def settle_frozen_part(model: PreTrainedModel) -> None:
    """Keep the frozen part in evaluation mode, and stop gradients from flowing through it, in place.

    The stock convolutions ask for gradients with regard to the waveform, unless `freeze_feature_encoder` froze them.
    """
    extractor: Any = getattr(model.base_model, "feature_extractor", None)
    if extractor is not None and is_frozen(extractor) and hasattr(model, "freeze_feature_encoder"):
        model.freeze_feature_encoder()  # type: ignore[operator]
    if (part := find_frozen_part(model)) is not None and part.layers:
        for module in part.modules:
            module.eval()
            module.train = partial(_keep_mode, module)  # type: ignore[method-assign]


def _keep_mode(module: nn.Module, mode: bool = True) -> nn.Module:
    """Take the place of `Module.train`, which the model calls for each of its modules."""
    return module


@torch.no_grad()
def run_frozen_part(model: PreTrainedModel, part: FrozenPart, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return the output ``(B, F, D)`` of the frozen part for model inputs; what comes after it is not computed."""

    def stop(module: nn.Module, args: tuple, output: Any) -> None:
        raise _Reached(output[0] if isinstance(output, tuple) else output)

    handle = part.last.register_forward_hook(stop)
    try:
        model(**inputs)
    except _Reached as reached:
        return reached.output.transpose(1, 2) if part.channels_first else reached.output
    finally:
        handle.remove()
    raise AssertionError("the frozen part was not run")


class _Reached(Exception):
    """Carry the output of the frozen part out of the model."""

    def __init__(self, output: torch.Tensor):
        super().__init__()
        self.output = output


@contextmanager
def from_frozen_part(model: PreTrainedModel, part: FrozenPart) -> Iterator[None]:
    """Let a model accept the output of its frozen part ``(B, F, D)`` float16 in place of its input.

    The attention mask still has one value per sample. Input in float32 is processed as before.
    """
    stored = False

    def recognise(_, args: tuple, kwargs: dict) -> None:
        nonlocal stored
        stored = kwargs[model.main_input_name].dtype == torch.float16

    def replace(module: Any, forward: Callable) -> None:
        stock = module.forward
        module.forward = lambda *args, **kwargs: (forward if stored else stock)(*args, **kwargs)
        replaced.append(module)

    replaced: list[Any] = []
    handle = model.register_forward_pre_hook(recognise, with_kwargs=True)
    try:
        for module, forward in _stand_ins(model, part):
            replace(module, forward)
        yield
    finally:
        handle.remove()
        for module in replaced:
            del module.forward


def _stand_ins(model: PreTrainedModel, part: FrozenPart) -> Iterator[tuple[nn.Module, Callable]]:
    """Yield modules of the frozen part, or an encoder, and what they do on outputs of the frozen part."""
    if model.config.model_type == "whisper":
        yield _whisper_stand_in(model.get_submodule("encoder"), part.layers)
        return
    base: Any = model.base_model
    encoder = base.encoder
    yield base.feature_extractor, lambda states: states.float().transpose(1, 2)
    if not part.layers:
        return
    alone = model.config.model_type == "hubert"  # the others also return the input of the projection
    yield base.feature_projection, lambda states: states if alone else (states, states)
    yield encoder.pos_conv_embed, lambda states: states.new_zeros(())
    yield encoder.dropout, lambda states: states
    if not _is_stable(model.config):
        yield encoder.layer_norm, lambda states: states
    for layer in encoder.layers[: part.layers]:
        yield layer, _relative_positions(layer) if model.config.model_type == "wavlm" else lambda states, **_: states


def _whisper_stand_in(encoder: Any, layers: int) -> tuple[nn.Module, Callable]:
    """Return the encoder and its layers after the frozen ones; the stock `forward` checks the shape of spectrograms."""

    def forward(states: torch.Tensor, **_: Any) -> BaseModelOutput:
        states = states.float()
        for layer in encoder.layers[layers:]:
            states = layer(states, None)
        return BaseModelOutput(last_hidden_state=encoder.layer_norm(states))

    return encoder, forward


def _relative_positions(layer: Any) -> Callable:
    """Return a layer of WavLM that computes the position bias only, which the first one hands to the others."""

    def forward(states: torch.Tensor, *, position_bias: torch.Tensor | None = None, **_: Any) -> tuple:
        if position_bias is None:
            frames = states.shape[1]
            bias = layer.attention.compute_bias(frames, frames)  # (heads, F, F)
            position_bias = bias.repeat(len(states), 1, 1)
        return states, position_bias

    return forward


def _is_stable(config: Any) -> bool:
    """Return whether the norm of the encoder is after its layers."""
    return getattr(config, "do_stable_layer_norm", False)


def _masks(config: Any) -> bool:
    return config.mask_time_prob > 0 or config.mask_feature_prob > 0
