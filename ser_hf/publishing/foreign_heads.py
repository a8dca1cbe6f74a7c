"""Identify heads of other toolkits by the names and shapes of their weights.

A head without a nonlinearity between the frames and the logits is linear and can be converted
(`ser_hf.publishing.head_conversion`). No code of a checkpoint is run.

Source: the names are those of s3prl (s3prl/downstream/model.py), SpeechBrain (recipes/IEMOCAP/emotion_recognition),
soxan (src/models.py), and the Hub's ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition and
audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim.
"""

import argparse
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from transformers import PreTrainedConfig

from ser_hf.foreign_files import read_text
from ser_hf.models.checkpoint_loading import UNUSED, is_head
from ser_hf.publishing.foreign_weights import map_encoder, read_state_dict, stock_shapes

LINEAR_HEADS = {  # description: (layer before the pooling or None, last layer, weights of a sum of layers)
    "s3prl's head 'projector', 'model.post_net.linear'": ("projector", "model.post_net.linear", "Featurizer.weights"),
    "SpeechBrain's head '0.w'": (None, "0.w", None),
    "SpeechBrain's head 'output_mlp.w'": (None, "output_mlp.w", None),
    "the layer 'classifier.out_proj' alone": (None, "classifier.out_proj", None),
    "a stock head that config.json does not describe": ("projector", "classifier", "layer_weights"),
    "the layer 'classifier' alone": (None, "classifier", None),
}
LEFTOVERS = (  # weights of pretraining, transcription and the optimizer, which the scores do not depend on
    "best_score", "decoder.", "lm_head.", "model.decoder.", "Optimizer.", "project_hid.", "project_q.", "proj_out.",
    "quantizer.",
)  # fmt: skip
AUTHORS_CODE = "only its author's code defines what it computes with these weights."
TANH = (
    "classes with these weight names have a tanh between the two layers, but stock classes have none; renamed weights "
    "would load but give wrong scores."
)
OUTPUT_NORM = (
    "SpeechBrain may normalise the encoder's output by the deviation of each utterance, which no stock class does; "
    "`output_norm: False` in hyperparams.yaml would exclude that."
)
NORMALISED = "it normalises each layer first (Args.upstream_feature_normalize); stock classes do not."
ONE_LAYER = "it uses layer {} only (Args.upstream_layer_selection); stock classes use the last layer or a sum of all."
LAST_LAYER = "using the last layer, because no Args of s3prl name another; the logits may differ"


@dataclass(frozen=True)
class HeadLayout:
    """Hold the layout of a head.

    Attributes:
        kind: "stock", a head of transformers; "linear", a linear head with other weight names; or "foreign", a head
            that no stock class computes.
        description: The head in words.
        reason: Why no stock class computes a foreign head, or why the logits of a linear head may change.
        projector: Name of a linear head's layer before the pooling; None if it has none.
        classifier: Name of its last layer.
        layer_weights: Name of its weights of a sum of layers; None if it has none.

    Examples:
        >>> HeadLayout("linear", "the layer 'classifier' alone", classifier="classifier").projector is None
        True
    """

    kind: Literal["stock", "linear", "foreign"]
    description: str
    reason: str = ""
    projector: str | None = None
    classifier: str | None = None
    layer_weights: str | None = None


def describe_head(folder: str | Path, config: PreTrainedConfig, weights: dict[str, torch.Tensor]) -> HeadLayout:
    """Identify the head of a checkpoint by the names and shapes of its weights.

    Args:
        folder: The checkpoint. For SpeechBrain, `hyperparams.yaml` in it defines whether the encoder's output is
            normalised; for s3prl, `Args` in the weights files define the layer that is used.
        config: Its configuration.
        weights: Tensors from `read_weights`.

    Raises:
        KeyError: If transformers has no audio classifier of this architecture.
        ValueError: If a file cannot be read.
    """
    stock = stock_shapes(config)
    head = {name: tensor.shape for name, tensor in weights.items() if is_head(name)}
    if head == {name: shape for name, shape in stock.items() if is_head(name)}:
        return HeadLayout("stock", "the head of transformers' own class")
    if reason := _find_nonlinearity(folder, config, weights):
        return HeadLayout("foreign", *reason)
    encoder = map_encoder(config, weights)
    layout = _find_linear_head(weights)
    known = (layout.projector, layout.classifier, layout.layer_weights) if layout else ()
    others = [
        name
        for name in weights
        if name not in encoder and name not in known and name.rpartition(".")[0] not in known
        if not name.startswith(LEFTOVERS)
    ]
    if others:
        return HeadLayout("foreign", f"an unknown head ({', '.join(sorted(others)[:4])} …)", AUTHORS_CODE)
    if layout is None:
        return HeadLayout("foreign", "no head: a pretrained encoder", "an encoder alone gives no scores.")
    if misfit := _find_misfit(config, weights, layout, stock.keys() - set(encoder.values())):
        return HeadLayout("foreign", layout.description, misfit)
    return _follow_arguments(folder, config, layout) if layout.classifier == "model.post_net.linear" else layout


def _follow_arguments(folder: str | Path, config: PreTrainedConfig, layout: HeadLayout) -> HeadLayout:
    files = [path for pattern in ("pytorch_model*.bin", "*.ckpt") for path in sorted(Path(folder).glob(pattern))]
    commands = [stored for path in files if isinstance(stored := read_state_dict(path).get("Args"), argparse.Namespace)]
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
        return "s3prl's head with hidden layers", "each has an activation function; stock classes have none."
    if any(name.startswith("model.pooling.") for name in weights):
        return "s3prl's head with attentive pooling", "stock classes pool by the mean over the frames."
    if (pooling := getattr(config, "pooling_mode", "mean")) != "mean":
        return f"a head after '{pooling}' pooling", "stock classes pool by the mean over the frames."
    if "0.w.weight" in weights or "output_mlp.w.weight" in weights:
        hyperparams = Path(folder, "hyperparams.yaml")
        text = read_text(hyperparams, folder) if hyperparams.exists() else ""
        if not re.search(r"^\s*output_norm:\s*false\b", text, re.MULTILINE | re.IGNORECASE):
            return "SpeechBrain's head after a normalised encoder", OUTPUT_NORM
    return None


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
        return f"the stock head of '{config.model_type}' has no projector."
    classifier, hidden = weights[f"{layout.classifier}.weight"], config.hidden_size
    first = weights[f"{layout.projector}.weight"] if layout.projector else classifier
    if first.shape[1] != hidden:
        return f"it has {first.shape[1]} inputs, but the mean over frames has {hidden} features: another pooling."
    if layout.projector and classifier.shape[1] != len(first):
        return f"its last layer has {classifier.shape[1]} inputs, but its first layer has {len(first)} outputs."
    if layout.layer_weights and len(weights[layout.layer_weights]) != config.num_hidden_layers + 1:
        return "its sum of layers has another number of layers than the stock sum."
    return ""
