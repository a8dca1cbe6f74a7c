"""Faster computation on the CPU with the stock parameters: position embeddings by convolution, and dropout.

On a GPU and in bfloat16, the stock code runs.

Shapes: B batch, C channels, F frames, G groups, K kernel size.
"""

from functools import partial
from typing import Any

import torch
from scipy.fft import next_fast_len
from torch import nn
from torch.nn.functional import conv1d

LEAST_KERNEL = 32  # shorter kernels are faster without a Fourier transform


def speed_up(model: nn.Module) -> None:
    """Replace slow modules of a model, in place; its weights and their names do not change."""
    for module in model.modules():
        if type(module) is nn.Dropout:
            module.__class__ = FastDropout
        elif isinstance(module, nn.Conv1d) and _is_position_embedding(module):
            convolve: Any = partial(grouped_convolution, groups=module.groups, padding=int(module.padding[0]))
            module._conv_forward = convolve  # type: ignore[method-assign]


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
    if hidden_states.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return conv1d(hidden_states, weight, bias, groups=groups, padding=padding)
    batch, channels, frames = hidden_states.shape
    kernel = weight.shape[-1]
    length = next_fast_len(frames + kernel - 1, real=True)
    states = torch.fft.rfft(hidden_states, length).unflatten(1, (groups, -1))  # (B, G, C / G, frequencies)
    filters = torch.fft.rfft(weight.flip(-1), length).unflatten(0, (groups, -1))  # (G, C / G, C / G, frequencies)
    product = states.permute(3, 1, 0, 2) @ filters.permute(3, 0, 2, 1)  # (frequencies, G, B, C / G)
    whole = torch.fft.irfft(product.permute(2, 1, 3, 0).flatten(1, 2), length)  # (B, C, length)
    first = kernel - 1 - padding
    return whole[..., first : first + frames + 2 * padding - kernel + 1] + bias[:, None]


def _is_position_embedding(module: nn.Conv1d) -> bool:
    """Return whether a module is a convolution in groups with a long kernel and without stride."""
    return (
        1 < module.groups < module.in_channels == module.out_channels
        and LEAST_KERNEL <= module.kernel_size[0] <= 2 * int(module.padding[0]) + 1
        and module.stride == module.dilation == (1,)
    )


class FastDropout(nn.Dropout):
    """Dropout with 16 random bits per value, which are cheaper to draw than a float."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Return the values, of which a share of `p`, rounded to 1 / 65536, is zero."""
        stock = hidden_states.device.type != "cpu" or hidden_states.dtype != torch.float32
        if stock or not self.training or not 0 < self.p < 1:
            return super().forward(hidden_states)
        count = hidden_states.numel()
        bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), 2**63 - 1).view(torch.int16)
        kept = (bits[:count] >= round(self.p * 2**16) - 2**15).view(hidden_states.shape)
        return _Masked.apply(hidden_states, kept, 1 / (1 - self.p))


class _Masked(torch.autograd.Function):
    """Multiply by a mask and a number; autograd would keep a mask of floats."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, kept: torch.Tensor, scale: float) -> torch.Tensor:
        ctx.save_for_backward(kept)
        ctx.scale = scale
        return torch.ops.aten.native_dropout_backward(values, kept, scale)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple:
        (kept,) = ctx.saved_tensors
        return torch.ops.aten.native_dropout_backward(gradient, kept, ctx.scale), None, None
