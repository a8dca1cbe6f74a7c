"""Dropout on the CPU: numpy draws random bits and applies masks in a third of the time of torch."""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.autograd.function import once_differentiable


def draw_kept(share: float, out: torch.Tensor) -> None:
    """Write into a contiguous array of bool which of its values are kept: all but a share, rounded to 1 / 65536."""
    rng = np.random.Generator(np.random.SFC64(int(torch.randint(2**62, ()))))
    count = out.numel()
    bits = rng.integers(-(2**63), 2**63, -(-count // 4), dtype=np.int64).view(np.int16)[:count]
    np.greater_equal(bits.reshape(out.shape), round(share * 2**16) - 2**15, out=out.numpy())


def keep(values: torch.Tensor, kept: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Write values into an array, or 0 where they are not kept, and return it."""
    np.multiply(values.detach().numpy(), kept.numpy(), out=out.numpy())
    return out


class FastDropout(nn.Dropout):
    """Dropout for float32 on the CPU; elsewhere, the stock code runs."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Return the values, of which a share of `p` is zero."""
        stock = hidden_states.device.type != "cpu" or hidden_states.dtype != torch.float32
        if stock or not self.training or not 0 < self.p < 1:
            return super().forward(hidden_states)
        draw_kept(self.p, out=(kept := torch.empty(hidden_states.shape, dtype=torch.bool)))
        return _Masked.apply(hidden_states, kept, 1 / (1 - self.p))


class _Masked(torch.autograd.Function):
    """Multiply by a mask and a number; autograd would keep a mask of floats."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, kept: torch.Tensor, scale: float) -> torch.Tensor:
        ctx.save_for_backward(kept)
        ctx.scale = scale
        return keep(values, kept, torch.empty_like(values)).mul_(scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple:
        (kept,) = ctx.saved_tensors
        return keep(gradient, kept, torch.empty_like(gradient)).mul_(ctx.scale), None, None
