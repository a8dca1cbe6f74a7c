"""Attention with dropout on the CPU, with the results and the parameters of the stock code.

In training, torch computes attention with dropout in about ten passes over the scores of the whole batch. Here the
scores of one utterance are computed at a time, so that they stay in the cache of the processor, with dropout of
`fast_dropout.draw_kept`. The stock code runs on a GPU, in bfloat16, without dropout, and for attention with relative
positions, grouped queries or a causal mask.

Shapes: B batch, H heads, F frames, D size of a head.
"""

from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask
from transformers.models.wavlm.modeling_wavlm import WavLMAttention

from ser_hf.models.fast_dropout import draw_kept, keep

LOWEST = torch.finfo(torch.float32).min  # score of padding
NAME = "fast_dropout"  # of the attention implementation; transformers does not write it to a checkpoint


def speed_up_attention(model: PreTrainedModel) -> None:
    """Let a model compute its attention with `attend` in training, in place."""
    if model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(NAME)
    for module in model.modules():
        if type(module) is WavLMAttention:
            module.__class__ = FastWavLMAttention


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    dropout: float,
    scaling: float,
) -> torch.Tensor:
    """Return the sums of the values, weighted by softmax(scaling * query @ key + bias) with dropout.

    Args:
        query: ``(B, H, F, D)``.
        key: ``(B, H, F, D)``.
        value: ``(B, H, F, D)``.
        bias: ``(B, H, F, F)``, of which H and the first F can be 1; None for zeros.
        dropout: Share of the weights that are zero, below 1.
        scaling: Factor of the scores.

    Returns:
        ``(B, F, H, D)``.

    Examples:
        >>> query, key, value = torch.randn(3, 2, 4, 10, 8)
        >>> attend(query, key, value, dropout=0.1, scaling=0.35).shape
        torch.Size([2, 10, 4, 8])
    """
    return _Attention.apply(query, key, value, bias, dropout, scaling)


class _Attention(torch.autograd.Function):
    """Keep the weights before dropout and which are dropped; the stock code keeps three arrays of floats."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        bias: torch.Tensor | None,
        dropout: float,
        scaling: float,
    ) -> torch.Tensor:
        batch, heads, frames, size = query.shape
        weights = query.new_empty(batch, heads, frames, frames)
        kept = torch.empty(weights.shape, dtype=torch.bool)
        output = query.new_empty(batch, frames, heads, size)
        scores = torch.empty_like(weights[0])
        for i in range(batch):
            torch.bmm(query[i] * scaling, key[i].mT, out=scores)
            if bias is not None:
                scores += bias[i]
            torch.softmax(scores, -1, out=weights[i])
            draw_kept(dropout, out=kept[i])
            output[i] = (keep(weights[i], kept[i], scores) @ value[i]).mul_(1 / (1 - dropout)).transpose(0, 1)
        ctx.save_for_backward(query, key, value, weights, kept)
        ctx.scaling, ctx.scale, ctx.bias = scaling, 1 / (1 - dropout), None if bias is None else bias.shape
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple:
        query, key, value, weights, kept = ctx.saved_tensors
        of_query, of_key, of_value = (torch.empty_like(gradient).transpose(1, 2) for _ in range(3))
        of_bias = gradient.new_zeros(ctx.bias) if ctx.needs_input_grad[3] else None
        buffer = torch.empty_like(weights[0])
        for i in range(len(gradient)):
            upper = (gradient[i] * ctx.scale).transpose(0, 1)  # (H, F, D)
            of_value[i] = keep(weights[i], kept[i], buffer).mT @ upper
            torch.bmm(upper, value[i].mT, out=buffer)
            scores = torch._softmax_backward_data(keep(buffer, kept[i], buffer), weights[i], -1, buffer.dtype)
            if of_bias is not None:
                of_bias[i] = scores.sum_to_size(of_bias[i].shape)
            of_query[i] = (scores @ key[i]).mul_(ctx.scaling)
            of_key[i] = (scores.mT @ query[i]).mul_(ctx.scaling)
        return of_query, of_key, of_value, of_bias, None, None


def attention_forward(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Return the output ``(B, F, H, D)`` of an attention layer of transformers, and no weights."""
    causal = kwargs.get("is_causal", getattr(module, "is_causal", True))
    plain = not causal and kwargs.get("position_bias") is None and query.shape == key.shape
    if scaling is None or not plain or not _is_faster(dropout, query, key, value):
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **kwargs)
    bias = None
    if attention_mask is not None:
        bias = torch.zeros(attention_mask.shape).masked_fill_(~attention_mask, LOWEST)
    return attend(query, key, value, bias, dropout=dropout, scaling=scaling), None


class FastWavLMAttention(WavLMAttention):
    """The attention of WavLM, without the weights, which audio classifiers do not use."""

    def torch_multi_head_self_attention(
        self, hidden_states: torch.Tensor, attention_mask: Any, gated_position_bias: torch.Tensor
    ) -> tuple[torch.Tensor, Any]:
        """Return the output ``(B, F, H * D)`` of the layer, and None for the weights.

        Args:
            hidden_states: ``(B, F, H * D)``.
            attention_mask: ``(B, F)``, 1 or True except for padding; None for no padding.
            gated_position_bias: ``(B * H, F, F)``.
        """
        dropout = self.dropout if self.training else 0.0
        if not _is_faster(dropout, hidden_states):
            return super().torch_multi_head_self_attention(hidden_states, attention_mask, gated_position_bias)
        batch, frames, _ = hidden_states.shape
        query, key, value = (
            project(hidden_states).view(batch, frames, self.num_heads, -1).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        bias = gated_position_bias.view(batch, self.num_heads, frames, frames)
        if attention_mask is not None:
            bias = bias.masked_fill(attention_mask[:, None, None] != 1, LOWEST)
        output = attend(query, key, value, bias, dropout=dropout, scaling=self.scaling)
        return self.out_proj(output.flatten(2)), None


def _is_faster(dropout: float, *states: torch.Tensor) -> bool:
    """Return whether `attend` is faster than the stock code: for float32 on the CPU, with dropout."""
    fit = all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in states)
    return fit and 0 < dropout < 1 and not torch.is_autocast_enabled("cpu")


AttentionInterface.register(NAME, attention_forward)
AttentionMaskInterface.register(NAME, sdpa_mask)
