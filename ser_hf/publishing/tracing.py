"""A padding-aware torch model -> an ONNX file, traced.

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

    The tracer, since torch's newer exporter (as of 2.13) fails for the conformer and for wav2vec2-BERT, and takes
    thirty times as long for a graph of the same speed. What a tracer cannot see, other sizes show afterwards.

    Args:
        model: Padding-aware.
        inputs: An example by name; the first axis is the batch, the second the length.
        dynamic: The names of the axes, from the first, whose size is free.
        path: The file to write.

    Raises:
        ValueError: If the model computes what the exporter lacks.
    """
    axes = {name: dict(enumerate(dynamic)) for name in inputs} | {"logits": {0: "batch"}}
    norms = [module for module in model.modules() if isinstance(module, PaddingAwareGroupNorm)]
    for norm in norms:
        norm.__class__ = _GroupNormInBlocks
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), torch.no_grad():  # it prints what fails
            warnings.simplefilter("ignore")  # that it is the older exporter, and of sizes that it does not follow
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
    """Take inputs by position, as the tracer wants them, and return logits alone."""

    def __init__(self, model: PreTrainedModel, names: Sequence[str]):
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.model(**dict(zip(self.names, inputs, strict=True))).logits


class _GroupNormInBlocks(PaddingAwareGroupNorm):
    """Sum ten thousand frames in blocks: ONNX Runtime adds them up one by one, which loses two digits over silence."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
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
