"""Convert linear heads of other toolkits to the stock head.

The stock classes compute ``classifier(mean over frames(projector(hidden)))``. A head without a nonlinearity between
the frames and the logits computes the same function with other weight names: a single layer becomes the classifier,
with an identity matrix as the projector.

Shapes: D hidden, P projected, C classes.
"""

import copy

import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING

from ser_hf.models.checkpoint_loading import absent_weights
from ser_hf.publishing.foreign_heads import HeadLayout
from ser_hf.publishing.foreign_weights import map_encoder


def convert_head(config: PreTrainedConfig, weights: dict[str, torch.Tensor], layout: HeadLayout) -> PreTrainedModel:
    """Return the stock model that computes the same function as a checkpoint with a linear head.

    Args:
        config: Configuration of the checkpoint; it is not changed.
        weights: Tensors from `read_weights`.
        layout: Layout from `describe_head`.

    Raises:
        ValueError: If the head is not linear, or the shapes do not match the encoder.
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
    state = {name: weights[key] for key, name in map_encoder(config, weights).items()}
    state |= {"classifier.weight": classifier, "projector.weight": projector}
    for name, layer in (("classifier", layout.classifier), ("projector", layout.projector)):
        weight = state[f"{name}.weight"]
        state[f"{name}.bias"] = weights.get(f"{layer}.bias", weight.new_zeros(len(weight)))
    if layout.layer_weights:
        state["layer_weights"] = weights[layout.layer_weights]
    return load_state(config, state)


def load_state(config: PreTrainedConfig, state: dict[str, torch.Tensor]) -> PreTrainedModel:
    """Return the stock audio classifier with these weights.

    Args:
        config: Configuration of the model.
        state: All weights by their names in the stock class.

    Raises:
        ValueError: If a weight is missing, and would be random, or has another shape.
    """
    model, loading = MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING[type(config)].from_pretrained(  # type: ignore[attr-defined]
        None, config=config, state_dict=state, output_loading_info=True, ignore_mismatched_sizes=True
    )
    if absent := absent_weights(loading):
        raise ValueError(f"Expected all weights of {type(model).__name__}, found none that fit {absent}.")
    return model
