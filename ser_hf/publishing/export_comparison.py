"""A checkpoint's torch model and its ONNX files side by side: how right, how fast, how large, how far apart.

Shapes: N utterances, T samples, C emotions.
"""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.special import softmax
from transformers import SequenceFeatureExtractor

from ser_hf.evaluation.scores import count_confusion, ua
from ser_hf.publishing.checks import weights_of
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

logger = logging.getLogger(__name__)

INT8_LOSS = 0.01  # of UA, which is between 0 and 1


def compare_exports(
    folder: str | Path, waveforms: Sequence[np.ndarray], labels: Sequence[int], *, batch_size: int = 8
) -> list[dict]:
    """Score utterances by torch and by each ONNX file of a folder, one after the other on this machine.

    Warns where int8 loses more than a point of UA.

    Args:
        folder: A checkpoint that `export_onnx` wrote ``onnx/`` into.
        waveforms: N utterances, ``(T,)`` float32 at 16 kHz, raw and whole as the stock pipeline takes them.
        labels: N numbers of emotions, as the checkpoint's config numbers them.
        batch_size: Utterances of like lengths that are scored at once.

    Returns:
        A row per model, torch first: `name`, `ua` (0 to 1), `utterances_per_second` (features included), `megabytes`,
        and `largest_score_difference` from torch.

    Raises:
        ImportError: If onnx or onnxruntime is missing.
        FileNotFoundError: If the folder holds no checkpoint, or no ONNX file.
    """
    require_extra()
    folder = Path(folder)
    fp32, int8 = folder / "onnx" / FP32, folder / "onnx" / INT8
    if not fp32.is_file():
        raise FileNotFoundError(f"'{fp32}' is missing: write it by export_onnx or `ser-hf export`.")
    model, extractor = load_exportable(folder)
    models = [("torch fp32", torch_run(model), weights_of(folder))]
    models += [("ONNX fp32", onnx_run(fp32), [fp32])]
    models += [("ONNX int8", onnx_run(int8), [int8])] if int8.is_file() else []
    rows = []
    for name, run, files in models:
        scores, seconds = _score(run, extractor, waveforms, batch_size)
        reference = rows[0]["scores"] if rows else scores
        confusion = count_confusion(labels, scores.argmax(1).tolist(), range(model.config.num_labels))
        row = {"name": name, "ua": float(ua(confusion)), "utterances_per_second": len(waveforms) / seconds}
        row |= {"megabytes": sum(map(megabytes, files)), "scores": scores}
        rows.append(row | {"largest_score_difference": largest_difference(scores, reference)})
    lost = rows[0]["ua"] - rows[-1]["ua"]
    if lost > INT8_LOSS:
        logger.warning(
            f"int8 loses {100 * lost:.1f} points of UA on these {len(waveforms)} utterances: prefer onnx/{FP32}."
        )
    return [{key: value for key, value in row.items() if key != "scores"} for row in rows]


def _score(
    run: Run, extractor: SequenceFeatureExtractor, waveforms: Sequence[np.ndarray], batch_size: int
) -> tuple[np.ndarray, float]:
    """Return scores ``(N, C)`` in the order of the waveforms, and the seconds that they took."""
    order = np.argsort([-len(waveform) for waveform in waveforms], kind="stable")  # like lengths share a batch
    batches = np.split(order, range(batch_size, len(order), batch_size))
    run(features_of(extractor, [waveforms[i] for i in batches[0]]))  # what the first run allocates is not counted
    start = time.perf_counter()
    logits = [run(features_of(extractor, [waveforms[i] for i in batch])) for batch in batches]
    seconds = time.perf_counter() - start
    return softmax(np.concatenate(logits)[np.argsort(order)], -1), seconds
