"""Trace a padding-aware torch model into an ONNX file.

Shapes: B batch, D channels, F frames.
"""

import io
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from ser_hf.models.padding import PaddingAwareGroupNorm, real_frames

OPSET = 18
BLOCK = 128  # frames


def write_fp32(model: PreTrainedModel, inputs: dict[str, torch.Tensor], dynamic: Sequence[str], path: Path) -> None:
    """Trace the model into an ONNX file.

    The tracer is used because torch's newer exporter (as of 2.13) fails for the conformer and for wav2vec2-BERT, and
    takes thirty times as long for a graph of the same speed. Tracing ignores branches that depend on sizes, so
    `export_onnx` compares the graph with the model for other sizes.

    Args:
        model: Padding-aware model.
        inputs: Example inputs by name; the first axis is the batch, the second the length.
        dynamic: Names of the axes of variable size, from the first axis.
        path: File to write.

    Raises:
        ValueError: If the model uses an operation that the exporter does not support.
    """
    axes = {name: dict(enumerate(dynamic)) for name in inputs} | {"logits": {0: "batch"}}
    norms = [module for module in model.modules() if isinstance(module, PaddingAwareGroupNorm)]
    for norm in norms:
        norm.__class__ = _GroupNormInBlocks
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), torch.no_grad():  # the tracer prints errors
            warnings.simplefilter("ignore")  # the exporter is deprecated; branches that depend on sizes are ignored
            torch.onnx.export(
                _Logits(model, list(inputs)).eval(),
                tuple(inputs.values()),
                path,
                dynamo=False,
                opset_version=OPSET,
                input_names=list(inputs),
                output_names=["logits"],
                dynamic_axes=axes,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"'{model.config.model_type}' cannot be exported to ONNX: {reason}") from error
    for norm in norms:
        norm.__class__ = PaddingAwareGroupNorm


class _Logits(nn.Module):
    """Take inputs by position, as the tracer requires, and return the logits only."""

    def __init__(self, model: PreTrainedModel, names: Sequence[str]):
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.model(**dict(zip(self.names, inputs, strict=True))).logits


class _GroupNormInBlocks(PaddingAwareGroupNorm):
    """Sum over frames in blocks, because ONNX Runtime adds them one by one, which loses two digits in silence."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        assert self.frames is not None
        real = real_frames(self.frames, hidden_states.shape[-1])[:, None]  # (B, 1, F)
        count = self.frames[:, None, None].float()
        mean = _sum_in_blocks(hidden_states * real) / count
        centred = (hidden_states - mean) * real
        variance = _sum_in_blocks(centred.square()) / count
        return centred * torch.rsqrt(variance + self.eps) * self.weight[:, None] + self.bias[:, None]


def _sum_in_blocks(values: torch.Tensor) -> torch.Tensor:
    """Return the sums ``(B, D, 1)`` of values ``(B, D, F)`` over frames."""
    blocks = functional.pad(values, (0, -values.shape[-1] % BLOCK)).unflatten(-1, (-1, BLOCK))
    return blocks.sum(-1).sum(-1, keepdim=True)
