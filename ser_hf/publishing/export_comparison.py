"""Compare the torch model of a checkpoint with its ONNX files: UA, speed, size and difference of scores.

Shapes: N utterances, T samples, C emotions.
"""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax
from transformers import SequenceFeatureExtractor

from ser_hf.evaluation.scores import count_confusion, ua
from ser_hf.publishing.export import (
    FP32,
    INT8,
    Run,
    features_of,
    largest_difference,
    load_exportable,
    megabytes,
    onnx_run,
    require_extra,
    torch_run,
)
from ser_hf.runs.weights import weights_of

logger = logging.getLogger(__name__)

INT8_LOSS = 0.01  # decrease of UA (0 to 1) above which there is a warning


def compare_exports(
    folder: str | Path, waveforms: Sequence[np.ndarray], labels: Sequence[int], *, batch_size: int = 8
) -> list[dict]:
    """Score utterances with the torch model and with each ONNX file of a checkpoint, one after the other.

    A warning is logged if the UA of int8 is lower by more than one percentage point.

    Args:
        folder: A checkpoint with the folder ``onnx/`` of `export_onnx`.
        waveforms: N utterances ``(T,)`` float32 at 16 kHz, raw and whole as for the stock pipeline.
        labels: N label ids of the checkpoint's config.
        batch_size: Utterances per batch; utterances of similar lengths share a batch.

    Returns:
        A row per model, torch first: `name`, `ua` (0 to 1), `utterances_per_second` (including feature extraction),
        `megabytes`, and `largest_score_difference` from torch.

    Raises:
        ImportError: If onnx or onnxruntime is not installed.
        FileNotFoundError: If the folder is not a checkpoint or has no ONNX file.
    """
    require_extra()
    folder = Path(folder)
    fp32, int8 = folder / "onnx" / FP32, folder / "onnx" / INT8
    if not fp32.is_file():
        raise FileNotFoundError(f"'{fp32}' is missing: write it with export_onnx or `ser-hf export`.")
    model, extractor = load_exportable(folder)
    models = [("torch fp32", torch_run(model), weights_of(folder))]
    models += [("ONNX fp32", onnx_run(fp32), [fp32])]
    models += [("ONNX int8", onnx_run(int8), [int8])] if int8.is_file() else []
    rows: list[dict[str, Any]] = []
    for name, run, files in models:
        scores, seconds = _time_scores(run, extractor, waveforms, batch_size)
        reference = rows[0]["scores"] if rows else scores
        confusion = count_confusion(labels, scores.argmax(1).tolist(), range(model.config.num_labels))  # type: ignore[arg-type]
        row = {"name": name, "ua": float(ua(confusion)), "utterances_per_second": len(waveforms) / seconds}
        row |= {"megabytes": sum(map(megabytes, files)), "scores": scores}
        rows.append(row | {"largest_score_difference": largest_difference(scores, reference)})
    lost = rows[0]["ua"] - rows[-1]["ua"]
    if lost > INT8_LOSS:
        logger.warning(
            f"UA of int8 is lower by {100 * lost:.1f} points on these {len(waveforms)} utterances: prefer onnx/{FP32}."
        )
    return [{key: value for key, value in row.items() if key != "scores"} for row in rows]


def _time_scores(
    run: Run, extractor: SequenceFeatureExtractor, waveforms: Sequence[np.ndarray], batch_size: int
) -> tuple[np.ndarray, float]:
    """Return scores ``(N, C)`` in the order of the waveforms, and the time in seconds."""
    order = np.argsort([-len(waveform) for waveform in waveforms], kind="stable")  # similar lengths share a batch
    batches = np.split(order, range(batch_size, len(order), batch_size))
    run(features_of(extractor, [waveforms[i] for i in batches[0]]))  # warm-up: the first run allocates memory
    start = time.perf_counter()
    logits = [run(features_of(extractor, [waveforms[i] for i in batch])) for batch in batches]
    seconds = time.perf_counter() - start
    return softmax(np.concatenate(logits)[np.argsort(order)], -1), seconds
