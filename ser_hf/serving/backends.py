"""What turns waveforms into scores: a stock torch model, its ONNX export, or a scikit-learn head on frozen features.

Shapes: B waveforms, T samples, C emotions.
"""

import hashlib
import importlib.util
import json
import logging
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from huggingface_hub import errors, hf_hub_download
from scipy.special import expit, softmax
from transformers import AutoFeatureExtractor, PreTrainedConfig, SequenceFeatureExtractor, Wav2Vec2FeatureExtractor

from ser_hf.data.audio import SAMPLING_RATE
from ser_hf.data.collator import extract_features
from ser_hf.heads.embedder import Embedder
from ser_hf.heads.features import classical_features, egemaps_features
from ser_hf.heads.files import load_head
from ser_hf.models import make_padding_aware
from ser_hf.models.backbone import context_of, load_config, load_trained
from ser_hf.models.padding import EQUAL_LENGTHS_ONLY
from ser_hf.serving.choices import BACKENDS, DTYPES

ONNX_FILES = {"float32": "onnx/model.onnx", "int8": "onnx/model_quantized.onnx"}  # by dtype
INPUTS = ("input_values", "input_features", "attention_mask")
NUMPY_TYPES = {"tensor(float)": np.float32, "tensor(int32)": np.int32, "tensor(int64)": np.int64, "tensor(bool)": bool}
OUTDATED = "The weights of '{}' have changed since its ONNX files were exported from them."

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backend:
    """Hold what scores waveforms.

    Attributes:
        name: "torch", "onnx" or "probe".
        emotions: In the order of the scores.
        run: Turns B waveforms ``(T,)`` float32 at 16 kHz into scores ``(B, C)``.
        context: Seconds that the model takes at most; what is longer is cut.
        pads: Whether waveforms of different lengths may share a batch.
        uncertainty_threshold: Best scores below it are uncertain; None where nobody has calibrated it.
    """

    name: str
    emotions: list[str]
    run: Callable[[Sequence[np.ndarray]], np.ndarray]
    context: float = float("inf")
    pads: bool = True
    uncertainty_threshold: float | None = None


def load_backend(
    name: str, *, device: str | torch.device | None, dtype: str, backend: str, trust_remote_code: bool
) -> Backend:
    """Load a checkpoint the way that `EmotionClassifier.from_pretrained` describes.

    Raises:
        ValueError: If an argument is none of its legal values, or does not go with the checkpoint; if the device is not
            there; or if ONNX is asked for and was exported from other weights.
        OSError: If there is no such checkpoint, or it lacks a file.
        ImportError: If onnxruntime or opensmile is needed and missing.
    """
    if Path(name).is_file():
        raise ValueError(f"Expected a checkpoint's folder or Hub id, found the file '{name}'. Name its folder.")
    for option, found, legal in (("backend", backend, BACKENDS), ("dtype", dtype, DTYPES)):
        if found not in legal:
            raise ValueError(f"{option}: expected one of {list(legal)}, found {found!r}.")
    if dtype == "int8" and backend == "torch":
        raise ValueError("dtype: int8 runs as ONNX only: leave out backend='torch'.")
    if dtype == "int8" and backend == "auto":
        backend = "onnx"
    if backend == "onnx" and (dtype not in ONNX_FILES or torch.device(device or "cpu").type != "cpu"):
        raise ValueError(
            f"backend: onnx runs on the CPU in {' or '.join(ONNX_FILES)}, found device {device!r} and dtype {dtype!r}. "
            "Leave both out, or say backend='torch'."
        )
    if backend == "onnx":
        if is_outdated(name):
            raise ValueError(f"{OUTDATED.format(name)} Run `ser-hf export {name}` again, or leave ONNX out.")
        return load_onnx(name, ONNX_FILES[dtype], trust_remote_code=trust_remote_code)
    target = choose_device(device)
    options = {"device": target, "dtype": choose_dtype(dtype, target), "trust_remote_code": trust_remote_code}
    if find_file(name, "head.json"):
        return load_head_backend(name, **options)
    suits = target.type == "cpu" and dtype == "float32" and importlib.util.find_spec("onnxruntime")
    if backend == "auto" and suits and find_file(name, ONNX_FILES[dtype]):
        if not is_outdated(name):
            return load_onnx(name, ONNX_FILES[dtype], trust_remote_code=trust_remote_code)
        logger.warning(f"{OUTDATED.format(name)} Torch runs instead; `ser-hf export {name}` writes ONNX anew.")
    return load_torch(name, **options)


def load_torch(name: str, *, device: torch.device, dtype: torch.dtype, trust_remote_code: bool) -> Backend:
    """Load any audio classifier of transformers.

    Raises:
        ValueError: If weights are missing, which would start at random.
        OSError: If there is no such checkpoint, or no feature extractor in it.
    """
    config = load_config(name, trust_remote_code)
    feature_extractor = load_own_feature_extractor(name, trust_remote_code)
    model = load_trained(name, config=config, trust_remote_code=trust_remote_code)
    make_padding_aware(model)
    model = model.to(device).eval()

    @torch.inference_mode()
    def run(waveforms: Sequence[np.ndarray]) -> np.ndarray:
        inputs = extract_features(feature_extractor, waveforms).to(device)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = model(**inputs).logits
        return to_scores(logits.float().cpu().numpy(), config)

    return _describe("torch", config, run, pads=config.model_type not in EQUAL_LENGTHS_ONLY)


def load_onnx(name: str, file: str, *, trust_remote_code: bool) -> Backend:
    """Load an ONNX export of an audio classifier; its torch weights are left alone.

    Raises:
        ImportError: If onnxruntime is missing.
        OSError: If there is no such checkpoint, or no feature extractor or ONNX file in it.
        ValueError: If the file is damaged, or takes other inputs than a feature extractor's.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError('backend: onnx needs onnxruntime: pip install "ser_hf[export]"') from error
    config = load_config(name, trust_remote_code)
    feature_extractor = load_own_feature_extractor(name, trust_remote_code)
    path = find_file(name, file)
    if path is None:
        raise FileNotFoundError(f"'{name}' holds no {file}: write it by `ser-hf export`, or say backend='torch'.")
    find_file(name, f"{file}.data")  # weights of large models, which have to lie beside
    options = onnxruntime.SessionOptions()
    options.enable_cpu_mem_arena = False  # it keeps the memory of the largest batch, and saves no time
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no other base
        raise ValueError(
            f"'{path}' is damaged or incomplete: {error} Run `ser-hf export {name}` again, or say backend='torch'."
        ) from error
    types = {item.name: NUMPY_TYPES[item.type] for item in session.get_inputs()}
    if others := sorted(set(types) - set(INPUTS)):
        raise ValueError(f"'{path}' takes {others}: expected some of {list(INPUTS)}. Export it by `ser-hf export`.")

    def answer(waveform: np.ndarray) -> np.ndarray:
        features = extract_features(feature_extractor, [waveform])
        inputs = {key: features[key].numpy().astype(kind, copy=False) for key, kind in types.items()}
        return session.run(["logits"], inputs)[0]

    # A thread for each waveform is faster than all threads on a batch, and int8 then rounds each by its own range.
    pool = ThreadPoolExecutor(torch.get_num_threads())  # which processes that share a machine have divided

    def run(waveforms: Sequence[np.ndarray]) -> np.ndarray:
        return to_scores(np.concatenate(list(pool.map(answer, waveforms))), config)

    return _describe("onnx", config, run, pads=True)


def load_head_backend(name: str, *, device: torch.device, dtype: torch.dtype, trust_remote_code: bool) -> Backend:
    """Load a scikit-learn head and what computes its features.

    Raises:
        ValueError: If the head needs other audio of the speaker than the one utterance.
        OSError: If the head or the encoder is missing.
        ImportError: If opensmile is needed and missing.
    """
    find_file(name, "head.skops")  # beside head.json, for a Hub id too
    head, description = load_head(Path(find_file(name, "head.json")).parent)
    features = description["features"]
    if features["speaker_normalization"]:
        raise ValueError(
            f"'{name}' standardises each speaker by all of that speaker's audio, so it cannot judge an utterance "
            "alone: expected a probe trained without --speaker_normalization."
        )
    context = float("inf")
    if features["kind"] == "embedding":
        encoder = features["model_name_or_path"]
        embedder = Embedder(encoder, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
        context = context_of(embedder.config)

    def compute(waveforms: Sequence[np.ndarray]) -> np.ndarray:
        if features["kind"] == "embedding":
            return embedder.embed(waveforms)[:, features["layers"]].reshape(len(waveforms), -1)
        describe = classical_features if features["kind"] == "classical" else egemaps_features
        return np.stack([describe(waveform).to_numpy() for waveform in waveforms])

    return Backend("probe", description["emotions"], lambda batch: head.predict_proba(compute(batch)), context)


def load_own_feature_extractor(name: str, trust_remote_code: bool) -> SequenceFeatureExtractor:
    """Load a checkpoint's own feature extractor; a wav2vec2-like one always returns masks, which a batch needs.

    Raises:
        OSError: If the checkpoint has none.
        ValueError: If it takes another rate than 16 kHz.
    """
    try:
        feature_extractor = AutoFeatureExtractor.from_pretrained(name, trust_remote_code=trust_remote_code)
    except OSError as error:
        raise OSError(
            f"'{name}' has no preprocessor_config.json, which says how audio becomes the model's input. "
            f"`ser-hf doctor {name} --fix` writes the usual one of its architecture."
        ) from error
    if feature_extractor.sampling_rate != SAMPLING_RATE:
        raise ValueError(f"'{name}' hears {feature_extractor.sampling_rate} Hz: expected {SAMPLING_RATE}.")
    if isinstance(feature_extractor, Wav2Vec2FeatureExtractor):
        feature_extractor.return_attention_mask = True
    return feature_extractor


def choose_device(device: str | torch.device | None) -> torch.device:
    """Return the device, or for None the GPU if there is one.

    Raises:
        ValueError: If it is not there.
    """
    there = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(1, device=device or there).device
    except (AssertionError, RuntimeError) as error:  # how torch says that it was built without
        raise ValueError(f"device: expected one that is there, such as '{there}', found '{device}'.") from error


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """Return the type to compute in; "auto" is bfloat16 where the hardware multiplies it, float32 elsewhere."""
    if dtype != "auto":
        return getattr(torch, dtype)
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return torch.bfloat16 if fast else torch.float32


def to_scores(logits: np.ndarray, config: PreTrainedConfig) -> np.ndarray:
    """Return the scores ``(B, C)`` that `pipeline` gives to logits ``(B, C)``."""
    logits = logits.astype(np.float64)
    if config.problem_type == "regression":
        return logits
    return expit(logits) if config.problem_type == "multi_label_classification" else softmax(logits, -1)


def is_outdated(name: str) -> bool:
    """Tell whether the weights in a folder are others than its ONNX files were exported from, by its export.json."""
    report = Path(name, "onnx", "export.json")
    exported = json.loads(report.read_text(encoding="utf-8")).get("weights") if report.is_file() else None
    weights = sorted(Path(name).glob("model*.safetensors")) if exported else []
    found = {path.name: hashlib.sha256(np.memmap(path, mode="r")).hexdigest() for path in weights}
    return bool(found) and found != exported


def find_file(name: str, file: str) -> str | None:
    """Return the path of a file of a folder or of a Hub repository, or None where it has no such file.

    Args:
        name: Folder, or id on the Hub.
        file: Path within.
    """
    if Path(name).is_dir():
        return str(Path(name, file)) if Path(name, file).is_file() else None
    try:
        return hf_hub_download(name, file)
    except (errors.EntryNotFoundError, errors.RepositoryNotFoundError, errors.HFValidationError):
        return None


def _describe(name: str, config: PreTrainedConfig, run: Callable, *, pads: bool) -> Backend:
    emotions = [config.id2label[i] for i in range(config.num_labels)]
    if all(re.fullmatch(r"LABEL_\d+", emotion) for emotion in emotions):
        logger.warning(
            f"The checkpoint calls its emotions {', '.join(emotions)}: its author has not said what they mean. "
            "Write their names into id2label of its config.json."
        )
    return Backend(name, emotions, run, context_of(config), pads, getattr(config, "uncertainty_threshold", None))
