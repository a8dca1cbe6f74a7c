"""Heads of other people's checkpoints: told by the names and shapes of their weights, converted where they are linear.

The stock classes compute ``classifier(mean over frames(projector(hidden)))``. A head without a nonlinearity between
the frames and the logits is that very map under other names: a single layer becomes the classifier behind a projector
that is the identity. Nothing is unpickled but tensors, and no code of a checkpoint runs.

Shapes: D hidden, P projected, C classes.

Source: the names are those of s3prl (s3prl/downstream/model.py), SpeechBrain (recipes/IEMOCAP/emotion_recognition),
soxan (src/models.py), and the Hub's ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition and
audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim.
"""

import argparse
import copy
import pickle
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING

from ser_hf.models.backbone import UNUSED, absent_weights, is_head

LINEAR_HEADS = {  # description: (layer before the pooling or None, last layer, weights of a sum of layers)
    "s3prl's head 'projector', 'model.post_net.linear'": ("projector", "model.post_net.linear", "Featurizer.weights"),
    "SpeechBrain's head '0.w'": (None, "0.w", None),
    "SpeechBrain's head 'output_mlp.w'": (None, "output_mlp.w", None),
    "the layer 'classifier.out_proj' alone": (None, "classifier.out_proj", None),
    "a stock head that config.json does not describe": ("projector", "classifier", "layer_weights"),
    "the layer 'classifier' alone": (None, "classifier", None),
}
LEFTOVERS = (  # of pretraining, transcription and the optimizer: no part of the answer
    "best_score", "decoder.", "lm_head.", "model.decoder.", "Optimizer.", "project_hid.", "project_q.", "proj_out.",
    "quantizer.",
)  # fmt: skip
RENAMED = {".weight_g": ".parametrizations.weight.original0", ".weight_v": ".parametrizations.weight.original1"}

AUTHORS_CODE = "what it computes with these weights is written in its author's code only."
TANH = (
    "the classes that save these names put a tanh between the two layers, and a stock class has nothing between them; "
    "renamed weights would load and answer wrongly."
)
OUTPUT_NORM = (
    "SpeechBrain may normalise the encoder's output, each utterance by its own deviation, which no stock class does; "
    "only `output_norm: False` in hyperparams.yaml rules it out."
)
NORMALISED = "it normalises each layer first (Args.upstream_feature_normalize); stock classes sum layers as they are."
ONE_LAYER = "it reads layer {} alone (Args.upstream_layer_selection); stock classes read the last one or a sum of all."
LAST_LAYER = "reading the last layer, for want of s3prl's Args that name another; the logits may differ"


@dataclass(frozen=True)
class HeadLayout:
    """What a checkpoint's head is: the stock class' own, linear under other names, or none that a stock class computes.

    The last three name the weights of a linear head as the checkpoint does.

    Attributes:
        reason: Why no stock class computes a foreign head; of a linear one, why its logits may become others.
    """

    kind: Literal["stock", "linear", "foreign"]
    description: str
    reason: str = ""
    projector: str | None = None
    classifier: str | None = None
    layer_weights: str | None = None


def read_weights(folder: str | Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint under their own names, mapped from the files, not copied into memory.

    Read are `model*.safetensors`, or else `pytorch_model*.bin`; `*.ckpt` too where these hold no head.

    Raises:
        FileNotFoundError: If the folder holds none of these.
        ValueError: If a file is broken, or a pickle that asks for more than tensors.
    """
    folder = Path(folder)
    files = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    weights = {key: tensor for path in files for key, tensor in _flatten(_load(path))}
    if not any(map(is_head, weights)):
        files = files + (separate := sorted(folder.glob("*.ckpt")))
        weights |= {key: tensor for path in separate for key, tensor in _flatten(_load(path))}
    if not files:
        raise FileNotFoundError(f"'{folder}' holds no weights: expected model.safetensors or pytorch_model.bin.")
    return weights


def _load(path: Path) -> dict:
    with path.open("rb") as file:
        if file.read(24).startswith(b"version https://git-lfs"):
            raise ValueError(f"'{path}' is a pointer of Git LFS, not the weights: run `git lfs pull`.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # s3prl keeps its command line beside the weights; a Namespace is attributes and nothing else.
        with torch.serialization.safe_globals([argparse.Namespace]):
            stored = torch.load(path, weights_only=True, map_location="cpu", mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        raise ValueError(
            f"'{path}' is a pickle that asks for more than tensors ({asked[1] if asked else 'not a state dict'}); "
            "loading it could run foreign code, so it was not loaded. Ask its author for safetensors."
        ) from error
    except (SafetensorError, RuntimeError, EOFError) as error:
        raise ValueError(f"'{path}' cannot be read, it may be cut off ({error}). Download it again.") from error
    if not isinstance(stored, dict):
        raise ValueError(f"'{path}' holds a {type(stored).__name__}: expected a state dict, names to tensors.")
    return stored


def _flatten(stored: dict, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    for key, value in stored.items():
        if isinstance(value, torch.Tensor):
            yield f"{prefix}{key}", value
        elif isinstance(value, dict):  # s3prl: {"Downstream": …, "Featurizer": …}
            yield from _flatten(value, prefix if key == "Downstream" else f"{prefix}{key}.")


def describe_head(folder: str | Path, config: PreTrainedConfig, weights: dict[str, torch.Tensor]) -> HeadLayout:
    """Tell what the head of a checkpoint is, by the names and shapes of its weights.

    Args:
        folder: The checkpoint; SpeechBrain's `hyperparams.yaml` in it is searched for what follows the encoder, and
            s3prl's `Args` for the layer that it reads.
        config: Its configuration.
        weights: As `read_weights` returns them.

    Raises:
        KeyError: If transformers has no audio classifier of this architecture.
        ValueError: If a file cannot be read.
    """
    stock = _stock_shapes(config)
    head = {name: tensor.shape for name, tensor in weights.items() if is_head(name)}
    if head == {name: shape for name, shape in stock.items() if is_head(name)}:
        return HeadLayout("stock", "the head of transformers' own class")
    if reason := _find_nonlinearity(folder, config, weights):
        return HeadLayout("foreign", *reason)
    encoder = _map_encoder(config, weights)
    layout = _find_linear_head(weights)
    known = (layout.projector, layout.classifier, layout.layer_weights) if layout else ()
    others = [
        name
        for name in weights
        if name not in encoder and name not in known and name.rpartition(".")[0] not in known
        if not name.startswith(LEFTOVERS)
    ]
    if others:
        return HeadLayout("foreign", f"a head of unknown make ({', '.join(sorted(others)[:4])} …)", AUTHORS_CODE)
    if layout is None:
        return HeadLayout("foreign", "no head at all: a pretrained encoder", "there is nothing to answer with.")
    if reason := _find_misfit(config, weights, layout, stock.keys() - set(encoder.values())):
        return HeadLayout("foreign", layout.description, reason)
    return _follow_arguments(folder, config, layout) if layout.classifier == "model.post_net.linear" else layout


def _follow_arguments(folder: str | Path, config: PreTrainedConfig, layout: HeadLayout) -> HeadLayout:
    files = [path for pattern in ("pytorch_model*.bin", "*.ckpt") for path in sorted(Path(folder).glob(pattern))]
    commands = [stored for path in files if isinstance(stored := _load(path).get("Args"), argparse.Namespace)]
    arguments = {name: value for command in commands for name, value in vars(command).items()}
    layer = arguments.get("upstream_layer_selection")
    if arguments.get("upstream_feature_normalize"):
        return HeadLayout("foreign", layout.description, NORMALISED)
    if layer not in (None, -1, config.num_hidden_layers):
        return HeadLayout("foreign", layout.description, ONE_LAYER.format(layer))
    return replace(layout, reason=LAST_LAYER) if layer is None and not layout.layer_weights else layout


def _find_nonlinearity(folder: str | Path, config: PreTrainedConfig, weights: dict) -> tuple[str, str] | None:
    for last in ("classifier.out_proj", "classifier.output"):  # soxan and audEERING; ehcalabres
        if "classifier.dense.weight" in weights and f"{last}.weight" in weights:
            task = "regression" if config.problem_type == "regression" else "classification"
            return f"a {task} head of two layers, 'classifier.dense' and '{last}'", TANH
    if any(name.startswith("model.post_net.hiddens.") for name in weights):
        return "s3prl's head with hidden layers", "an activation follows each of them; stock classes have none."
    if any(name.startswith("model.pooling.") for name in weights):
        return "s3prl's head with attentive pooling", "stock classes take the plain mean over the frames."
    if (pooling := getattr(config, "pooling_mode", "mean")) != "mean":
        return f"a head after '{pooling}' pooling", "stock classes take the mean over the frames."
    if "0.w.weight" in weights or "output_mlp.w.weight" in weights:
        hyperparams = Path(folder, "hyperparams.yaml")
        text = read_text(hyperparams) if hyperparams.is_file() else ""
        if not re.search(r"^\s*output_norm:\s*false\b", text, re.MULTILINE | re.IGNORECASE):
            return "SpeechBrain's head after a normalised encoder", OUTPUT_NORM
    return None


def read_text(path: Path) -> str:
    """Return what a text file holds.

    Raises:
        ValueError: If it is not in UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"'{path}' cannot be read: expected text in UTF-8 ({error}). Save it in UTF-8.") from error


def _find_linear_head(weights: dict) -> HeadLayout | None:
    for description, (projector, classifier, layer_weights) in LINEAR_HEADS.items():
        needed = [weights.get(f"{layer}.weight") for layer in (projector, classifier) if layer]
        if all(weight is not None and weight.ndim == 2 for weight in needed):
            layer_weights = layer_weights if layer_weights in weights else None
            return HeadLayout("linear", description, "", projector, classifier, layer_weights)
    return None


def _find_misfit(config: PreTrainedConfig, weights: dict, layout: HeadLayout, unmatched: set[str]) -> str:
    absent = [name for name in unmatched if not is_head(name) and not name.endswith(UNUSED)]
    if absent:
        return f"{len(absent)} weights of the encoder are not in the folder (first: {min(absent)})."
    if not hasattr(config, "classifier_proj_size"):
        return f"the stock head of '{config.model_type}' has no projector that could take it."
    classifier, hidden = weights[f"{layout.classifier}.weight"], config.hidden_size
    first = weights[f"{layout.projector}.weight"] if layout.projector else classifier
    if first.shape[1] != hidden:
        return f"it reads {first.shape[1]} features where the mean over frames has {hidden}: another pooling."
    if layout.projector and classifier.shape[1] != len(first):
        return f"its last layer reads {classifier.shape[1]} features where its first gives {len(first)}."
    if layout.layer_weights and len(weights[layout.layer_weights]) != config.num_hidden_layers + 1:
        return "its sum of layers takes others than the stock sum."
    return ""


def _stock_shapes(config: PreTrainedConfig) -> dict[str, torch.Size]:
    with torch.device("meta"):  # no memory, no random numbers
        model = MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING[type(config)](config)
    return {name: tensor.shape for name, tensor in model.state_dict().items()}


def _map_encoder(config: PreTrainedConfig, weights: dict) -> dict[str, str]:
    """Return the names of the encoder's weights in the checkpoint with their names in the stock class."""
    names = {name for name in _stock_shapes(config) if not is_head(name)}
    prefix = min(names).partition(".")[0]
    encoder = {}
    for key in weights:
        name = key
        for old, new in RENAMED.items():
            name = name.replace(old, new) if name.endswith(old) else name
        bare = name.removeprefix("model.")  # SpeechBrain and Whisper wrap the encoder in `model`
        for candidate in (name, bare, f"{prefix}.{bare}"):
            if candidate in names:
                encoder[key] = candidate
    return encoder


def convert_head(config: PreTrainedConfig, weights: dict[str, torch.Tensor], layout: HeadLayout) -> PreTrainedModel:
    """Return the stock model that computes what a checkpoint with a linear head does; `config` stays as it is.

    Raises:
        ValueError: If the head is not linear, or the shapes do not fit the encoder.
    """
    if layout.kind != "linear":
        raise ValueError(f"Expected a linear head, found {layout.description}: {layout.reason}")
    classifier = weights[f"{layout.classifier}.weight"]  # (C, P) or (C, D)
    classes, size = classifier.shape
    config = copy.deepcopy(config)
    config.classifier_proj_size = size
    config.use_weighted_layer_sum = layout.layer_weights is not None
    if config.num_labels != classes:
        config.num_labels = classes
    projector = weights[f"{layout.projector}.weight"] if layout.projector else torch.eye(size, dtype=classifier.dtype)
    state = {name: weights[key] for key, name in _map_encoder(config, weights).items()}
    state |= {"classifier.weight": classifier, "projector.weight": projector}
    for name, layer in (("classifier", layout.classifier), ("projector", layout.projector)):
        weight = state[f"{name}.weight"]
        state[f"{name}.bias"] = weights.get(f"{layer}.bias", weight.new_zeros(len(weight)))
    if layout.layer_weights:
        state["layer_weights"] = weights[layout.layer_weights]
    return load_state(config, state)


def load_state(config: PreTrainedConfig, state: dict[str, torch.Tensor]) -> PreTrainedModel:
    """Return the stock audio classifier with these weights, none of them left at random.

    Raises:
        ValueError: If a weight is missing or has another shape than the class expects.
    """
    model, loading = MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING[type(config)].from_pretrained(
        None, config=config, state_dict=state, output_loading_info=True, ignore_mismatched_sizes=True
    )
    if absent := absent_weights(loading):
        raise ValueError(f"Expected weights for all of {type(model).__name__}, found none that fit {absent}.")
    return model
