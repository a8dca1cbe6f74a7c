"""Compute scores from waveforms: with a stock torch model, its ONNX export, or a scikit-learn head on frozen features.

Shapes: B waveforms, T samples, C outputs.
"""

import importlib.util
import logging
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedConfig, PreTrainedModel, SequenceFeatureExtractor

from ser_hf.data.collator import extract_features
from ser_hf.heads.embedder import Embedder
from ser_hf.heads.features import classical_features, egemaps_features
from ser_hf.heads.head_files import load_head
from ser_hf.models import make_padding_aware
from ser_hf.models.checkpoint_loading import load_config, load_trained
from ser_hf.models.context import context_of
from ser_hf.models.location import check_checkpoint
from ser_hf.models.padding import EQUAL_LENGTHS_ONLY
from ser_hf.models.postprocessing import to_scores
from ser_hf.serving.checkpoint_files import find_file, is_outdated, load_own_feature_extractor
from ser_hf.serving.choices import BACKENDS, DTYPES
from ser_hf.serving.devices import choose_device, choose_dtype
from ser_hf.tasks import load_task, name_task

ONNX_FILES = {"float32": "onnx/model.onnx", "int8": "onnx/model_quantized.onnx"}  # by dtype
INPUTS = ("input_values", "input_features", "attention_mask")
NUMPY_TYPES = {"tensor(float)": np.float32, "tensor(int32)": np.int32, "tensor(int64)": np.int64, "tensor(bool)": bool}
OUTDATED = "The weights of '{}' have changed since its ONNX files were exported."

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """Hold the torch model of a backend, from which a model for one voice can be made.

    Attributes:
        name: Folder or id on the Hub, from which the model was loaded.
        model: The model, in evaluation mode.
        feature_extractor: Its feature extractor.
        dtype: Type of matrix products and convolutions.
    """

    name: str
    model: PreTrainedModel
    feature_extractor: SequenceFeatureExtractor
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True)
class Backend:
    """Hold a loaded model as a function from waveforms to scores.

    Attributes:
        name: "torch", "onnx" or "probe".
        emotions: Names of the C outputs, in the order of the scores.
        run: Computes scores ``(B, C)`` of B waveforms ``(T,)`` float32 at 16 kHz.
        context: Longest input of the model in seconds; longer audio is truncated.
        pads: Whether waveforms of different lengths can share a batch.
        uncertainty_threshold: Predictions with a lower score are uncertain; None if the model is not calibrated.
        task: What is recognised, a key of `ser_hf.tasks.TASKS`.
        rating_scale: Lowest and highest rating; None if the model predicts no ratings.
        checkpoint: The torch model; None for other backends.

    Examples:
        >>> backend = Backend("torch", ["happy", "sad"], lambda waveforms: np.full((len(waveforms), 2), 0.5))
        >>> backend.run([np.zeros(16_000, dtype=np.float32)])
        array([[0.5, 0.5]])
    """

    name: str
    emotions: list[str]
    run: Callable[[Sequence[np.ndarray]], np.ndarray]
    context: float = float("inf")
    pads: bool = True
    uncertainty_threshold: float | None = None
    task: str = "categories"
    rating_scale: tuple[float, float] | None = None
    checkpoint: Checkpoint | None = None


def load_backend(
    name: str, *, device: str | torch.device | None, dtype: str, backend: str, trust_remote_code: bool
) -> Backend:
    """Load a checkpoint; the arguments are those of `EmotionClassifier.from_pretrained`.

    Raises:
        ValueError: If an argument has an invalid value or does not suit the checkpoint; if the device is not available;
            or if ONNX is requested and was exported from other weights.
        OSError: If the checkpoint does not exist or lacks a file.
        ImportError: If onnxruntime or opensmile is needed and not installed.
    """
    check_checkpoint(name)
    for option, found, legal in (("backend", backend, BACKENDS), ("dtype", dtype, DTYPES)):
        if found not in legal:
            raise ValueError(f"{option}: expected one of {list(legal)}, found {found!r}.")
    if dtype == "int8" and backend == "torch":
        raise ValueError("dtype: int8 runs with ONNX only: leave out backend='torch'.")
    if dtype == "int8" and backend == "auto":
        backend = "onnx"
    if backend == "onnx" and (dtype not in ONNX_FILES or torch.device(device or "cpu").type != "cpu"):
        raise ValueError(
            f"backend: onnx runs on the CPU in {' or '.join(ONNX_FILES)}, found device {device!r} and dtype {dtype!r}. "
            "Leave out both, or pass backend='torch'."
        )
    if backend == "onnx":
        if is_outdated(name):
            raise ValueError(f"{OUTDATED.format(name)} Run `ser-hf export {name}` again, or use torch in float32.")
        return load_onnx(name, ONNX_FILES[dtype], trust_remote_code=trust_remote_code)
    target = choose_device(device)
    options: dict[str, Any] = {
        "device": target,
        "dtype": choose_dtype(dtype, target),
        "trust_remote_code": trust_remote_code,
    }
    if find_file(name, "head.json"):
        return load_head_backend(name, **options)
    suits = target.type == "cpu" and dtype == "float32" and importlib.util.find_spec("onnxruntime")
    if backend == "auto" and suits and find_file(name, ONNX_FILES[dtype]):
        if not is_outdated(name):
            return load_onnx(name, ONNX_FILES[dtype], trust_remote_code=trust_remote_code)
        logger.warning(f"{OUTDATED.format(name)} Using torch instead. Run `ser-hf export {name}` to export again.")
    return load_torch(name, **options)


def load_torch(name: str, *, device: torch.device, dtype: torch.dtype, trust_remote_code: bool) -> Backend:
    """Load any audio classifier of transformers.

    Args:
        name: Folder, or id on the Hub.
        device: Device to run on.
        dtype: Type of matrix products and convolutions.
        trust_remote_code: Allow code that comes with the checkpoint.

    Raises:
        ValueError: If weights are missing, so that they would be random.
        OSError: If the checkpoint does not exist or has no feature extractor.
    """
    config = load_config(name, trust_remote_code)
    feature_extractor = load_own_feature_extractor(name, config.model_type, trust_remote_code)
    model = load_trained(name, config=config, trust_remote_code=trust_remote_code)
    make_padding_aware(model)
    model = model.to(device).eval()  # type: ignore[arg-type]
    return run_checkpoint(Checkpoint(name, model, feature_extractor, dtype))


def run_checkpoint(checkpoint: Checkpoint) -> Backend:
    """Return the backend of a torch model."""
    model, dtype = checkpoint.model, checkpoint.dtype
    config, device = model.config, model.device

    @torch.inference_mode()
    def run(waveforms: Sequence[np.ndarray]) -> np.ndarray:
        inputs = extract_features(checkpoint.feature_extractor, waveforms).to(device)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = model(**inputs).logits
        return to_scores(logits.float().cpu().numpy(), config.problem_type)

    backend = _build_backend("torch", config, run, pads=config.model_type not in EQUAL_LENGTHS_ONLY)
    return replace(backend, checkpoint=checkpoint)


def load_onnx(name: str, file: str, *, trust_remote_code: bool) -> Backend:
    """Load an ONNX export of an audio classifier; its torch weights are not read.

    Args:
        name: Folder, or id on the Hub.
        file: Path of the ONNX file in the checkpoint.
        trust_remote_code: Allow code that comes with the checkpoint.

    Raises:
        ImportError: If onnxruntime is not installed.
        OSError: If the checkpoint does not exist, or has no feature extractor or no such ONNX file.
        ValueError: If the file is damaged, or has inputs that no feature extractor returns.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError('backend: onnx needs onnxruntime: pip install "ser_hf[export]"') from error
    config = load_config(name, trust_remote_code)
    feature_extractor = load_own_feature_extractor(name, config.model_type, trust_remote_code)
    path = find_file(name, file)
    if path is None:
        raise FileNotFoundError(f"'{name}' has no {file}: write it with `ser-hf export`, or pass backend='torch'.")
    find_file(name, f"{file}.data")  # downloads the weights of large models, stored in an adjacent .data file
    options = onnxruntime.SessionOptions()
    options.enable_cpu_mem_arena = False  # the arena keeps the memory of the largest batch and saves no time
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no narrower base class
        raise ValueError(
            f"'{path}' is damaged or incomplete: {error} Run `ser-hf export {name}` again, or pass backend='torch'."
        ) from error
    types = {item.name: NUMPY_TYPES[item.type] for item in session.get_inputs()}
    if others := sorted(set(types) - set(INPUTS)):
        raise ValueError(
            f"'{path}': expected inputs among {list(INPUTS)}, found also {others}. Export it with `ser-hf export`."
        )

    def compute_logits(waveform: np.ndarray) -> np.ndarray:
        features = extract_features(feature_extractor, [waveform])
        inputs = {key: features[key].numpy().astype(kind, copy=False) for key, kind in types.items()}
        return session.run(["logits"], inputs)[0]

    # One thread per waveform is faster than all threads on one batch. It also lets int8 scale each waveform by its own
    # range. The number of torch threads takes into account that several processes may share the machine.
    pool = ThreadPoolExecutor(torch.get_num_threads())

    def run(waveforms: Sequence[np.ndarray]) -> np.ndarray:
        return to_scores(np.concatenate(list(pool.map(compute_logits, waveforms))), config.problem_type)

    return _build_backend("onnx", config, run, pads=True)


def load_head_backend(name: str, *, device: torch.device, dtype: torch.dtype, trust_remote_code: bool) -> Backend:
    """Load a scikit-learn head and the extractor of its features.

    Args:
        name: Folder, or id on the Hub.
        device: Device of the encoder, if the features are embeddings.
        dtype: Type of the encoder's matrix products and convolutions.
        trust_remote_code: Allow code that comes with the encoder.

    Raises:
        ValueError: If the head needs features normalised by speaker.
        OSError: If the head or the encoder does not exist.
        ImportError: If opensmile is needed and not installed.
    """
    find_file(name, "head.skops")  # downloads it into the folder of head.json
    folder = Path(find_file(name, "head.json")).parent  # type: ignore[arg-type]
    head, description = load_head(folder)
    features = description["features"]
    if features["speaker_normalization"]:
        raise ValueError(
            f"'{name}' normalises features by speaker, so it cannot score single utterances: expected a probe trained "
            "without --speaker_normalization."
        )
    context = float("inf")
    if features["kind"] == "embedding":
        encoder = _locate_encoder(folder, features["model_name_or_path"])
        options = {"revision": features.get("revision"), "trust_remote_code": trust_remote_code}
        embedder = Embedder(encoder, device=device, dtype=dtype, **options)  # older heads name no revision
        context = context_of(embedder.config)

    def compute(waveforms: Sequence[np.ndarray]) -> np.ndarray:
        if features["kind"] == "embedding":
            return embedder.embed(waveforms)[:, features["layers"]].reshape(len(waveforms), -1)
        describe = classical_features if features["kind"] == "classical" else egemaps_features
        return np.stack([describe(waveform).to_numpy() for waveform in waveforms])

    scale = description.get("rating_scale")
    task = "categories" if scale is None else "dimensions"
    problem_type = load_task(task).PROBLEM_TYPE

    def run(batch: Sequence[np.ndarray]) -> np.ndarray:
        return to_scores(head.predict_logits(compute(batch)), problem_type)

    return Backend("probe", description["emotions"], run, context, task=task, rating_scale=scale)


def _locate_encoder(folder: Path, name: str) -> str:
    """Return the path or Hub id of the encoder of a probe; a path in head.json is relative to its folder."""
    if (folder / name).is_dir():
        return str(folder / name)
    try:
        check_checkpoint(name)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"The probe in '{folder}' needs its encoder '{name}'. {error} Copy the folder of the encoder to "
            f"'{folder / Path(name).name}', and write '{Path(name).name}' as model_name_or_path into head.json."
        ) from error
    return name


def _build_backend(name: str, config: PreTrainedConfig, run: Callable, *, pads: bool) -> Backend:
    emotions = [config.id2label[i] for i in range(config.num_labels)]  # type: ignore[index, arg-type]
    if all(re.fullmatch(r"LABEL_\d+", emotion) for emotion in emotions):
        logger.warning(
            f"The checkpoint does not name its emotions: they are called {', '.join(emotions)}. "
            "Write their names into id2label of its config.json."
        )
    if len({emotion.casefold() for emotion in emotions}) < len(emotions):
        raise ValueError(
            f"id2label of config.json: expected a different name for each label, found a repeated name: "
            f"{', '.join(emotions)}. Write the names in the order of the model's outputs."
        )
    threshold = getattr(config, "uncertainty_threshold", None)
    scale = getattr(config, "rating_scale", None)
    return Backend(name, emotions, run, context_of(config), pads, threshold, name_task(config), scale)
