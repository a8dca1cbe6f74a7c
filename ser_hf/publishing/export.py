"""A checkpoint -> ONNX files, in float32 and in int8, that were asked the same questions as the torch model.

They lie where transformers.js and `EmotionClassifier` look for them: ``onnx/model.onnx`` and
``onnx/model_quantized.onnx`` beside config.json and preprocessor_config.json. What they take is what the checkpoint's
feature extractor gives (the mask as int64), what they give is ``logits``. The padding-aware layers of
`ser_hf.models.padding` are part of the graph, so a padded batch equals the single utterance there too.

Shapes: B batch, T samples, C emotions.
"""

import inspect
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.special import softmax
from transformers import PreTrainedModel, SequenceFeatureExtractor

from ser_hf.cache import write_text
from ser_hf.data.audio import SAMPLING_RATE
from ser_hf.data.collator import FIXED_LENGTH, extract_features
from ser_hf.models import make_padding_aware
from ser_hf.models.backbone import load_feature_extractor, load_trained
from ser_hf.publishing.answers import reference_waveforms
from ser_hf.publishing.checks import hash_weights, read_json
from ser_hf.publishing.tracing import OPSET, write_fp32

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Run = Callable[[dict[str, torch.Tensor]], np.ndarray]  # a model's inputs by name -> logits (B, C)

FP32, INT8, REPORT = "model.onnx", "model_quantized.onnx", "export.json"
BATCH_SIZES = (1, 3, 8)
TOLERANCE = 1e-4  # of a logit
UNSUPPORTED = {
    "mel": "its Fourier transform passes through complex numbers, which the exporter lacks",
    "sew": "it pools frames in twos, and a graph of an even number of frames is wrong for odd ones",
    "sew-d": "it pools frames in twos, and a graph of an even number of frames is wrong for odd ones",
}
# Source: MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES of transformers.js 4.3 (and wav2vec2-BERT among its sequences).
TRANSFORMERS_JS = (
    "wav2vec2", "wav2vec2-bert", "unispeech", "unispeech-sat", "wavlm", "hubert", "audio-spectrogram-transformer",
)  # fmt: skip


def export_onnx(folder: str | Path, *, output_dir: str | Path | None = None, int8: bool = True) -> dict:
    """Write the ONNX files of a checkpoint, unless their logits differ from torch's.

    Torch and ONNX are compared on synthetic waveforms in batches of 1, 3 and 8, at three lengths and padded.

    Args:
        folder: A saved stock checkpoint with its feature extractor.
        output_dir: Where ``onnx/`` is made, with copies of the two JSON files beside; None: in `folder`.
        int8: Write ``model_quantized.onnx`` too.

    Returns:
        What ``onnx/export.json`` holds: `architecture`, `inputs`, `dynamic` (axes whose size is free), `opset`,
        `batch_equals_single`, `transformers_js` (whether it has a class for this architecture), `weights` (SHA-256 of
        the files exported), `largest_logit_difference`, `megabytes`, and with int8 `int8_largest_score_difference`
        and `int8_megabytes`.

    Raises:
        ImportError: If onnx or onnxruntime is missing.
        FileNotFoundError: If the folder holds no config.json.
        ValueError: If the architecture cannot be exported, weights are missing, or the logits differ.
    """
    require_extra()
    folder, target = Path(folder), Path(output_dir or folder)
    model, extractor = load_exportable(folder)
    for name in (FP32, INT8, REPORT):  # they may be of earlier weights
        (target / "onnx" / name).unlink(missing_ok=True)
    target.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target) as work:
        report = _export(model, extractor, Path(work), int8)
        report["weights"] = hash_weights(folder)
        write_text(Path(work, REPORT), json.dumps(report, indent=1) + "\n")
        (target / "onnx").mkdir(exist_ok=True)
        for path in Path(work).iterdir():
            path.replace(target / "onnx" / path.name)
    if not target.samefile(folder):
        for name in ("config.json", "preprocessor_config.json"):
            shutil.copy(folder / name, target)
    return report


def open_session(path: str | Path) -> "InferenceSession":
    """Open an ONNX file on all cores of the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count()
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def require_extra() -> None:
    """Raise ImportError where a package of the extra is missing."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ImportError(f'Export needs onnx and onnxruntime ({error}): pip install "ser_hf[export]"') from error


def load_exportable(folder: Path) -> tuple[PreTrainedModel, SequenceFeatureExtractor]:
    """Return the padding-aware model in float32, all of whose weights are trained, and its feature extractor."""
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"'{folder}' holds no config.json: expected a saved checkpoint of transformers.")
    architecture = read_json(folder / "config.json").get("model_type")
    if reason := UNSUPPORTED.get(architecture):
        raise ValueError(f"'{architecture}' cannot be exported to ONNX: {reason}. Use it through torch.")
    model = load_trained(folder, use_safetensors=True).eval()
    make_padding_aware(model)
    return model, load_feature_extractor(str(folder), model.config)


def _export(model: PreTrainedModel, extractor: SequenceFeatureExtractor, work: Path, int8: bool) -> dict:
    """Write the files into `work`, and return what was found out about them."""
    dynamic = ["batch"] if isinstance(extractor, FIXED_LENGTH) else ["batch", "length"]
    waveforms = _reference_batches(lengths="length" in dynamic)
    batches = [features_of(extractor, batch) for batch in waveforms]
    inputs = _taken(model, batches[-1])
    write_fp32(model, inputs, dynamic, work / FP32)
    run = onnx_run(work / FP32)
    expected, found = _answer(torch_run(model), batches), _answer(run, batches)
    difference = largest_difference(found, expected)
    if not difference <= TOLERANCE:  # NaN too
        raise ValueError(
            f"The ONNX graph of '{model.config.model_type}' answers otherwise than torch: logits differ by "
            f"{difference:.1e}, allowed are {TOLERANCE:g}. Nothing was written; use the checkpoint through torch."
        )
    single = _answer(run, [features_of(extractor, [waveform]) for waveform in waveforms[-1]])
    report = {
        "architecture": model.config.model_type,
        "inputs": list(inputs),
        "dynamic": dynamic,
        "opset": OPSET,
        "batch_equals_single": largest_difference(found[-len(single) :], single) <= TOLERANCE,
        "transformers_js": model.config.model_type in TRANSFORMERS_JS,
        "largest_logit_difference": difference,
        "megabytes": megabytes(work / FP32),
    }
    if int8:
        write_int8(work / FP32, work / INT8)
        scores = softmax(_answer(onnx_run(work / INT8), batches), -1)
        report["int8_largest_score_difference"] = largest_difference(scores, softmax(expected, -1))
        report["int8_megabytes"] = megabytes(work / INT8)
    return report


def write_int8(source: Path, path: Path) -> None:
    """Quantise the weights of matrix products, by channel; activations are quantised on the way.

    Convolutions stay in float32: their int8 kernels are slow and wrong. One scale serves the activations of a whole
    batch, so the scores of an utterance depend a little on its neighbours.

    Source:
        https://github.com/microsoft/onnxruntime/issues/12854
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = onnx.load(source)
    del graph.graph.value_info[:]  # stale sizes of the example, which stop the inference of sizes
    graph.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")  # recommended; no gain here
    quantize_dynamic(graph, path, op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QInt8)


def _reference_batches(*, lengths: bool) -> list[list[np.ndarray]]:
    """Return batches of 1, 3 and 8 waveforms of mixed lengths, and before them of each of three `lengths`.

    Batches are cut unlike each other, so that counts of frames are even and odd.
    """
    probes = reference_waveforms(SAMPLING_RATE)
    equal = [[np.roll(probe[500 * size :], 997 * i) for i in range(size)] for size in BATCH_SIZES for probe in probes]
    mixed = [[probes[i % len(probes)][997 * i :] for i in range(size)] for size in BATCH_SIZES]
    return equal * lengths + mixed


def features_of(extractor: SequenceFeatureExtractor, waveforms: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
    """Return the model's inputs; the mask as int64, which is what transformers.js gives."""
    features = dict(extract_features(extractor, waveforms))
    if "attention_mask" in features:
        features["attention_mask"] = features["attention_mask"].long()
    return features


def torch_run(model: PreTrainedModel) -> Run:
    """Return what runs the torch model."""

    @torch.inference_mode()
    def run(features: dict[str, torch.Tensor]) -> np.ndarray:
        return model(**_taken(model, features)).logits.numpy()

    return run


def onnx_run(path: Path) -> Run:
    """Return what runs an ONNX file."""
    session = open_session(path)
    names = [item.name for item in session.get_inputs()]
    return lambda features: session.run(["logits"], {name: features[name].numpy() for name in names})[0]


def _taken(model: PreTrainedModel, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Leave out what the model does not take, such as a mask that Whisper's extractor was set to return."""
    names = inspect.signature(model.forward).parameters
    return {name: value for name, value in features.items() if name in names}


def _answer(run: Run, batches: Sequence[dict[str, torch.Tensor]]) -> np.ndarray:
    """Return the logits ``(N, C)`` of all batches."""
    return np.concatenate([run(features) for features in batches])


def largest_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest absolute difference; NaN where there is one."""
    return float(np.abs(found - expected).max())


def megabytes(path: Path) -> float:
    """Return the size of a file in MB."""
    return path.stat().st_size / 1e6
