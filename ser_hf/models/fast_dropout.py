"""Dropout on the CPU with 16 random bits per value, which are cheaper to draw than a float."""

from typing import Any

import torch
from torch import nn


def draw_kept(share: float, out: torch.Tensor) -> torch.Tensor:
    """Write into a contiguous array of bool which of its values are kept: all but a share, rounded to 1 / 65536."""
    count = out.numel()
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), 2**63 - 1).view(torch.int16)
    return torch.ge(bits[:count].view(out.shape), round(share * 2**16) - 2**15, out=out)


class FastDropout(nn.Dropout):
    """Dropout for float32 on the CPU; elsewhere, the stock code runs."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Return the values, of which a share of `p` is zero."""
        stock = hidden_states.device.type != "cpu" or hidden_states.dtype != torch.float32
        if stock or not self.training or not 0 < self.p < 1:
            return super().forward(hidden_states)
        kept = draw_kept(self.p, out=torch.empty(hidden_states.shape, dtype=torch.bool))
        return _Masked.apply(hidden_states, kept, 1 / (1 - self.p))


class _Masked(torch.autograd.Function):
    """Multiply by a mask and a number; autograd would keep a mask of floats."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, kept: torch.Tensor, scale: float) -> torch.Tensor:
        ctx.save_for_backward(kept)
        ctx.scale = scale
        return (values * kept).mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple:
        (kept,) = ctx.saved_tensors
        return (gradient * kept).mul_(ctx.scale), None, None
