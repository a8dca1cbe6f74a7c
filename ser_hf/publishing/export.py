"""Export a checkpoint to ONNX files in float32 and int8, and compare their outputs with those of the torch model.

The files are stored as transformers.js and `EmotionClassifier` expect: ``onnx/model.onnx`` and
``onnx/model_quantized.onnx`` in the folder of config.json and preprocessor_config.json. Their inputs are the outputs of
the checkpoint's feature extractor (the attention mask as int64), and their output is ``logits``. The padding-aware
layers of `ser_hf.models.padding` are part of the graph, so that padding does not change the scores.

Shapes: B batch, T samples, C outputs.
"""

import inspect
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from transformers import PreTrainedModel, SequenceFeatureExtractor

from ser_hf.cache import explain_full_disk, whole_file, write_text
from ser_hf.cpus import usable_cpus
from ser_hf.data.audio import SAMPLING_RATE
from ser_hf.data.collator import FIXED_LENGTH, extract_features
from ser_hf.models import make_padding_aware
from ser_hf.models.checkpoint_loading import is_head, load_feature_extractor, load_trained
from ser_hf.models.postprocessing import to_scores
from ser_hf.publishing.answers import reference_waveforms
from ser_hf.publishing.checks import read_json_or_empty
from ser_hf.publishing.tracing import OPSET, write_fp32
from ser_hf.runs.weights import hash_weights

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Run = Callable[[dict[str, torch.Tensor]], np.ndarray]  # inputs of a model by name -> logits (B, C)

FP32, INT8, REPORT = "model.onnx", "model_quantized.onnx", "export.json"
BATCH_SIZES = (1, 3, 8)
TOLERANCE = 1e-4  # largest allowed difference of logits
UNSUPPORTED = {
    "mel": "its Fourier transform uses complex numbers, which the exporter does not support",
    "sew": "it pools pairs of frames, and a graph traced with an even number of frames is wrong for odd numbers",
    "sew-d": "it pools pairs of frames, and a graph traced with an even number of frames is wrong for odd numbers",
}
# Source: MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES of transformers.js 4.3 (and wav2vec2-BERT among its sequences).
TRANSFORMERS_JS = (
    "wav2vec2", "wav2vec2-bert", "unispeech", "unispeech-sat", "wavlm", "hubert", "audio-spectrogram-transformer",
)  # fmt: skip


def export_onnx(folder: str | Path, *, output_dir: str | Path | None = None, int8: bool = True) -> dict:
    """Write the ONNX files of a checkpoint, unless their logits differ from those of the torch model.

    The models are compared on synthetic waveforms in batches of 1, 3 and 8: at three equal lengths, and zero-padded
    from mixed lengths.

    Args:
        folder: A saved stock checkpoint with its feature extractor.
        output_dir: Folder for ``onnx/`` and copies of the two JSON files; None for `folder`.
        int8: Write ``model_quantized.onnx`` too.

    Returns:
        The content of ``onnx/export.json``: `architecture`, `inputs`, `dynamic` (axes of variable size), `opset`,
        `batch_equals_single`, `transformers_js` (whether it supports this architecture), `weights` (SHA-256 of the
        exported files), `largest_logit_difference`, `megabytes`, and with int8 `int8_largest_score_difference` and
        `int8_megabytes`.

    Raises:
        ImportError: If onnx or onnxruntime is not installed.
        FileNotFoundError: If the folder has no config.json.
        ValueError: If the architecture cannot be exported, weights are missing, or the logits differ.
    """
    require_extra()
    folder, target = Path(folder), Path(output_dir or folder)
    model, extractor = load_exportable(folder)
    with explain_full_disk(target):
        (target / "onnx").mkdir(parents=True, exist_ok=True)
        for name in (FP32, INT8, REPORT):  # existing files may have been exported from earlier weights
            (target / "onnx" / name).unlink(missing_ok=True)
        with ExitStack() as files:  # both or none
            paths = [files.enter_context(whole_file(target / "onnx" / name)) for name in (FP32, INT8)[: 1 + int8]]
            report = _export(model, extractor, *paths)
        report["weights"] = hash_weights(folder)
        write_text(target / "onnx" / REPORT, json.dumps(report, indent=1) + "\n")
        if not target.samefile(folder):
            for name in ("config.json", "preprocessor_config.json"):
                shutil.copy(folder / name, target)
    return report


def open_session(path: str | Path) -> "InferenceSession":
    """Open an ONNX file to run on all CPU cores of this process."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cpus()
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def require_extra() -> None:
    """Check that the packages of the extra `export` are installed.

    Raises:
        ImportError: If onnx or onnxruntime is not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ImportError(f'Export needs onnx and onnxruntime ({error}): pip install "ser_hf[export]"') from error


def load_exportable(folder: Path) -> tuple[PreTrainedModel, SequenceFeatureExtractor]:
    """Load the padding-aware model in float32 and its feature extractor.

    Raises:
        FileNotFoundError: If the folder has no config.json.
        ValueError: If the architecture cannot be exported, or weights are missing.
    """
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"'{folder}' has no config.json: expected a saved checkpoint of transformers.")
    architecture = read_json_or_empty(folder / "config.json").get("model_type", "")
    if reason := UNSUPPORTED.get(architecture):
        raise ValueError(f"'{architecture}' cannot be exported to ONNX: {reason}. Use it with torch.")
    model = load_trained(folder, use_safetensors=True).eval()
    make_padding_aware(model)
    return model, load_feature_extractor(str(folder), model.config)


def _export(model: PreTrainedModel, extractor: SequenceFeatureExtractor, fp32: Path, int8: Path | None = None) -> dict:
    """Write the ONNX files, and return the report."""
    dynamic = ["batch"] if isinstance(extractor, FIXED_LENGTH) else ["batch", "length"]
    waveforms = _reference_batches(lengths="length" in dynamic)
    batches = [features_of(extractor, batch) for batch in waveforms]
    inputs = _select_inputs(model, batches[-1])
    write_fp32(model, inputs, dynamic, fp32)
    run = onnx_run(fp32)
    expected, found = _compute_logits(torch_run(model), batches), _compute_logits(run, batches)
    difference = largest_difference(found, expected)
    if not difference <= TOLERANCE:  # NaN too
        raise ValueError(
            f"The logits of the ONNX graph of '{model.config.model_type}' differ from torch by {difference:.1e}: "
            f"expected at most {TOLERANCE:g}. Nothing was written; use the checkpoint with torch."
        )
    single = _compute_logits(run, [features_of(extractor, [waveform]) for waveform in waveforms[-1]])
    report = {
        "architecture": model.config.model_type,
        "inputs": list(inputs),
        "dynamic": dynamic,
        "opset": OPSET,
        "batch_equals_single": largest_difference(found[-len(single) :], single) <= TOLERANCE,
        "transformers_js": model.config.model_type in TRANSFORMERS_JS,
        "largest_logit_difference": difference,
        "megabytes": megabytes(fp32),
    }
    if int8:
        write_int8(fp32, int8)
        logits = (_compute_logits(onnx_run(int8), batches), expected)
        scores = [to_scores(each, model.config.problem_type) for each in logits]
        report["int8_largest_score_difference"] = largest_difference(*scores)
        report["int8_megabytes"] = megabytes(int8)
    return report


def write_int8(source: Path, path: Path) -> None:
    """Quantise the weights of matrix products per channel; activations are quantised dynamically.

    Weights are unsigned, because products of unsigned activations and signed weights overflow on CPUs without VNNI.
    Convolutions stay in float32, because their int8 kernels are slow and wrong. The head stays in float32, because the
    logits of a readout are a thousandth of the other values of the hidden states, which would share their scale. The
    activations of a batch share one scale, so the scores of an utterance depend slightly on its batch.

    Args:
        source: ONNX file in float32.
        path: File to write.

    Source:
        https://github.com/microsoft/onnxruntime/issues/12854
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = onnx.load(source)
    del graph.graph.value_info[:]  # shapes of the traced example, which break shape inference
    # This marks the graph as preprocessed and avoids a warning; preprocessing has no benefit here.
    graph.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")
    head = [node.name for node in graph.graph.node if is_head(".".join(node.name.split("/")[2:]))]  # /model/projector/…
    quantize_dynamic(
        graph,
        path,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        weight_type=QuantType.QUInt8,
        nodes_to_exclude=head,
    )


def _reference_batches(*, lengths: bool) -> list[list[np.ndarray]]:
    """Return batches of 1, 3 and 8 waveforms of mixed lengths, after batches of equal lengths if `lengths` is set.

    Each batch is cut differently, so that numbers of frames are even and odd.
    """
    probes = reference_waveforms(SAMPLING_RATE)
    equal = [[np.roll(probe[500 * size :], 997 * i) for i in range(size)] for size in BATCH_SIZES for probe in probes]
    mixed = [[probes[i % len(probes)][997 * i :] for i in range(size)] for size in BATCH_SIZES]
    return equal * lengths + mixed


def features_of(extractor: SequenceFeatureExtractor, waveforms: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
    """Return the inputs of the model; the attention mask is int64, as in transformers.js.

    Args:
        extractor: Feature extractor of the model.
        waveforms: B waveforms ``(T,)`` float32 at 16 kHz.
    """
    features = dict(extract_features(extractor, waveforms))
    if "attention_mask" in features:
        features["attention_mask"] = features["attention_mask"].long()
    return features


def torch_run(model: PreTrainedModel) -> Run:
    """Return a function that runs the torch model."""

    @torch.inference_mode()
    def run(features: dict[str, torch.Tensor]) -> np.ndarray:
        return model(**_select_inputs(model, features)).logits.numpy()

    return run


def onnx_run(path: Path) -> Run:
    """Return a function that runs an ONNX file."""
    session = open_session(path)
    names = [item.name for item in session.get_inputs()]
    return lambda features: session.run(["logits"], {name: features[name].numpy() for name in names})[0]


def _select_inputs(model: PreTrainedModel, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Drop features that the model does not take, such as an attention mask for Whisper."""
    names = inspect.signature(model.forward).parameters
    return {name: value for name, value in features.items() if name in names}


def _compute_logits(run: Run, batches: Sequence[dict[str, torch.Tensor]]) -> np.ndarray:
    """Return the logits ``(N, C)`` of all batches."""
    return np.concatenate([run(features) for features in batches])


def largest_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest absolute difference of two arrays of one shape; NaN if any value is NaN.

    Examples:
        >>> largest_difference(np.array([0.5, 0.5]), np.array([0.75, 0.5]))
        0.25
    """
    return float(np.abs(found - expected).max())


def megabytes(path: Path) -> float:
    """Return the size of a file in MB."""
    return path.stat().st_size / 1e6
