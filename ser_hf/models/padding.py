"""Make a padded batch equal the single utterance, at run time, with stock weights.

Group-norm encoders (wav2vec2-base, HuBERT-base, SEW …) take the statistics of their first layer over the padding
too, and stacked convolutions (data2vec-audio's positions, the conformer's) read what the layer before wrote into
the padding. Both are told here how many frames of each utterance are real. Parameters keep their names, so a
checkpoint saved from a patched model is a stock one.

Shapes: B batch, C channels, F frames.
"""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

logger = logging.get_logger(__name__)

# SEW pools its frames in twos and drops an odd last one, but in a batch only that of the longest utterance: no patch
# can make the stock code's padded batch equal the single utterance.
EQUAL_LENGTHS_ONLY = ("sew", "sew-d")


class PaddingAwareGroupNorm(nn.GroupNorm):
    """Normalise each channel over the real frames of its utterance only; one group per channel."""

    frames: torch.Tensor | None = None  # (B,) real frames of the batch under way; None: all are real

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Return the normalised hidden states, ``(B, C, F)`` as given."""
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
    """Patch `model` in place so that its logits do not depend on the padding; its weights stay stock.

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

    def tell_frames(_, args: tuple, kwargs: dict) -> None:
        mask = kwargs.get("attention_mask")
        samples = None if mask is None else mask.sum(-1)  # (B,)
        for norm in norms:
            norm.frames = None if samples is None else _first_layer_frames(samples, model.config)
        for convolution in convolutions:
            convolution.frames = samples
            if samples is not None:
                convolution.frames = model._get_feat_extract_output_lengths(samples)  # type: ignore[operator]

    model.register_forward_pre_hook(tell_frames, with_kwargs=True)
    return True


def evaluation_batch_size(config: PreTrainedConfig, wanted: int) -> int:
    """Return the batch size for evaluation: the wanted one, or 1 where only equal lengths give the right answer."""
    if config.model_type not in EQUAL_LENGTHS_ONLY or wanted == 1:
        return wanted
    logger.info(
        f"per_device_eval_batch_size adjusted from {wanted} to 1 because padding changes the answers of "
        f"{config.model_type}: it pools frames in twos."
    )
    return 1


def _first_layer_frames(samples: torch.Tensor, config: PreTrainedConfig) -> torch.Tensor:
    return (samples - config.conv_kernel[0]) // config.conv_stride[0] + 1


def _reads_padding(name: str, module: nn.Module) -> bool:
    """Tell the convolutions within the encoder that the stock code does not mask."""
    stacked = "pos_conv_embed.layers." in name or name.endswith(".depthwise_conv")
    return stacked and isinstance(module, nn.Conv1d) and module.padding != (0,)  # wav2vec2-BERT masks its own


def _zero_padding(convolution: Any, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    (hidden_states,) = args  # (B, C, F)
    if convolution.frames is None:
        return args
    return (hidden_states * real_frames(convolution.frames, hidden_states.shape[-1])[:, None],)
