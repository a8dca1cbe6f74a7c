"""Faster training on the CPU with the stock parameters: position embeddings by convolution, dropout, attention.

On a GPU and in bfloat16, the stock code runs.

Shapes: B batch, C channels, F frames, G groups, K kernel size.
"""

from functools import partial
from typing import Any

import torch
from scipy.fft import next_fast_len
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv1d, pad
from transformers import PreTrainedModel

from ser_hf.models.fast_attention import speed_up_attention
from ser_hf.models.fast_dropout import FastDropout

LEAST_KERNEL = 32  # shorter kernels are faster without a Fourier transform


def speed_up(model: PreTrainedModel) -> None:
    """Replace slow modules of a model, in place; its weights and their names do not change."""
    for module in model.modules():
        if type(module) is nn.Dropout:
            module.__class__ = FastDropout
        elif isinstance(module, nn.Conv1d) and _is_position_embedding(module):
            convolve: Any = partial(grouped_convolution, groups=module.groups, padding=int(module.padding[0]))
            module._conv_forward = convolve  # type: ignore[method-assign]
    speed_up_attention(model)


def grouped_convolution(
    hidden_states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, *, groups: int, padding: int
) -> torch.Tensor:
    """Return the convolution along the frames, computed with Fourier transforms.

    Args:
        hidden_states: ``(B, C, F)``.
        weight: ``(C, C / G, K)``.
        bias: ``(C,)``.
        groups: G.
        padding: Number of zeros before the first frame and after the last one.

    Returns:
        ``(B, C, F + 2 * padding - K + 1)``.

    Examples:
        >>> states, weight, bias = torch.randn(2, 4, 50), torch.randn(4, 2, 32), torch.randn(4)
        >>> found = grouped_convolution(states, weight, bias, groups=2, padding=16)
        >>> torch.allclose(found, conv1d(states, weight, bias, groups=2, padding=16), atol=1e-4)
        True
    """
    real = hidden_states.dtype in (torch.float32, torch.float64)
    if hidden_states.device.type != "cpu" or not real or torch.is_autocast_enabled("cpu"):
        return conv1d(hidden_states, weight, bias, groups=groups, padding=padding)
    return _GroupedConvolution.apply(hidden_states, weight, groups, padding) + bias[:, None]


class _GroupedConvolution(torch.autograd.Function):
    """Multiply Fourier transforms; autograd would compute the gradient of a real transform with a complex one."""

    @staticmethod
    def forward(ctx: Any, hidden_states: torch.Tensor, weight: torch.Tensor, groups: int, padding: int) -> torch.Tensor:
        frames, kernel = hidden_states.shape[-1], weight.shape[-1]
        length = next_fast_len(frames + 2 * padding, real=True)
        states = _transform(pad(hidden_states, (padding, 0)), length, groups, dim=1)  # (frequencies, G, B, C / G)
        filters = _transform(weight, length, groups, dim=0)  # (frequencies, G, C / G, C / G)
        ctx.save_for_backward(states, filters)
        ctx.sizes = frames, kernel, length, groups, padding
        product = (states @ filters.mH).permute(2, 1, 3, 0).flatten(1, 2)
        return torch.fft.irfft(product, length)[..., : frames + 2 * padding - kernel + 1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple:
        states, filters = ctx.saved_tensors
        frames, kernel, length, groups, padding = ctx.sizes
        upper = _transform(gradient, length, groups, dim=1)
        of_states = torch.fft.irfft((upper @ filters).permute(2, 1, 3, 0).flatten(1, 2), length)
        of_weight = torch.fft.irfft((upper.mH @ states).permute(1, 2, 3, 0).flatten(0, 1), length)
        return of_states[..., padding : padding + frames], of_weight[..., :kernel], None, None


def _transform(signals: torch.Tensor, length: int, groups: int, dim: int) -> torch.Tensor:
    """Return the transforms along the last dimension ``(frequencies, G, ...)`` of signals with groups in `dim`."""
    return torch.fft.rfft(signals, length).unflatten(dim, (groups, -1)).movedim((-1, dim), (0, 1))


def _is_position_embedding(module: nn.Conv1d) -> bool:
    """Return whether a module is a convolution in groups with a long kernel and without stride."""
    return (
        1 < module.groups < module.in_channels == module.out_channels
        and module.bias is not None
        and isinstance(module.padding, tuple)
        and module.padding_mode == "zeros"
        and LEAST_KERNEL <= module.kernel_size[0] <= 2 * int(module.padding[0]) + 1
        and module.stride == module.dilation == (1,)
    )
