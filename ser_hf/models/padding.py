"""Run-time patches that make the logits independent of padding, with stock weights.

Encoders with group normalisation (wav2vec2-base, HuBERT-base, SEW, …) include the padding in the statistics of their
first layer. Stacked convolutions (position embeddings of data2vec-audio, conformer layers) use the values that the
previous layer computed for padded frames. The patches pass the number of real frames of each utterance to these
modules. Parameter names do not change, so a checkpoint saved from a patched model is a stock checkpoint.

Shapes: B batch, C channels, F frames.
"""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

logger = logging.get_logger(__name__)

# SEW averages pairs of frames and drops a last unpaired frame. In a padded batch this affects only the longest
# utterance, so no patch can make the results of a batch equal to those of single utterances.
EQUAL_LENGTHS_ONLY = ("sew", "sew-d")


class PaddingAwareGroupNorm(nn.GroupNorm):
    """Normalise each channel over the real frames of its utterance only, with one group per channel.

    Attributes:
        frames: Number of real frames ``(B,)`` of the current batch; None if all frames are real.

    Examples:
        >>> norm = PaddingAwareGroupNorm(1, 1)
        >>> norm.frames = torch.tensor([2])
        >>> norm(torch.tensor([[[1.0, 3.0, 9.0]]])).detach().round()  # the last frame is padding
        tensor([[[-1.,  1.,  0.]]])
    """

    frames: torch.Tensor | None = None

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Return the normalised hidden states ``(B, C, F)``."""
        if self.frames is None:
            return super().forward(hidden_states)
        real = real_frames(self.frames, hidden_states.shape[-1])[:, None]  # (B, 1, F)
        count = self.frames[:, None, None].to(torch.float32)
        values = hidden_states.float()
        mean = (values * real).sum(-1, keepdim=True) / count
        centred = (values - mean) * real
        variance = centred.square().sum(-1, keepdim=True) / count
        normalised = centred * torch.rsqrt(variance + self.eps)
        normalised = normalised * self.weight[:, None].float() + self.bias[:, None].float()
        return normalised.to(hidden_states.dtype)


def real_frames(frames: torch.Tensor, length: int) -> torch.Tensor:
    """Return a mask ``(B, length)`` that is true for the first ``frames (B,)`` of each row."""
    return torch.arange(length, device=frames.device) < frames[:, None]


def make_padding_aware(model: PreTrainedModel) -> bool:
    """Patch a model in place so that its logits do not depend on padding; its weights do not change.

    Args:
        model: Audio classifier or encoder.

    Returns:
        Whether the architecture needed a patch.
    """
    norms: list[Any] = [module for module in model.modules() if type(module) is nn.GroupNorm]
    convolutions: list[Any] = [module for name, module in model.named_modules() if _reads_padding(name, module)]
    for norm in norms:
        norm.__class__ = PaddingAwareGroupNorm
    for convolution in convolutions:
        convolution.frames = None
        convolution.register_forward_pre_hook(_zero_padding)
    if not norms and not convolutions:
        return False

    def set_frames(_, args: tuple, kwargs: dict) -> None:
        mask = kwargs.get("attention_mask")
        samples = None if mask is None else mask.sum(-1)  # (B,)
        for norm in norms:
            norm.frames = None if samples is None else _first_layer_frames(samples, model.config)
        for convolution in convolutions:
            convolution.frames = samples
            if samples is not None:
                convolution.frames = model._get_feat_extract_output_lengths(samples)  # type: ignore[operator]

    model.register_forward_pre_hook(set_frames, with_kwargs=True)
    return True


def evaluation_batch_size(config: PreTrainedConfig, requested: int) -> int:
    """Return the evaluation batch size per process: `requested`, or 1 for architectures whose logits depend on padding.

    Args:
        config: Configuration of the model.
        requested: Batch size per process.
    """
    if config.model_type not in EQUAL_LENGTHS_ONLY or requested == 1:
        return requested
    logger.info(
        f"per_device_eval_batch_size adjusted from {requested} to 1 because padding changes the predictions "
        f"of {config.model_type}, which averages pairs of frames."
    )
    return 1


def _first_layer_frames(samples: torch.Tensor, config: PreTrainedConfig) -> torch.Tensor:
    return (samples - config.conv_kernel[0]) // config.conv_stride[0] + 1


def _reads_padding(name: str, module: nn.Module) -> bool:
    """Return whether this is a convolution within the encoder whose input the stock code does not mask."""
    stacked = "pos_conv_embed.layers." in name or name.endswith(".depthwise_conv")
    return (
        stacked and isinstance(module, nn.Conv1d) and module.padding != (0,)
    )  # those of wav2vec2-BERT have masked inputs


def _zero_padding(convolution: Any, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    (hidden_states,) = args  # (B, C, F)
    if convolution.frames is None:
        return args
    return (hidden_states * real_frames(convolution.frames, hidden_states.shape[-1])[:, None],)
