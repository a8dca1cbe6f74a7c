"""Build audio classifiers of transformers, pretrained or with random weights, with named outputs."""

import re
from collections.abc import Sequence

from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForAudioClassification,
    PreTrainedConfig,
    PreTrainedModel,
    SequenceFeatureExtractor,
)

from ser_hf.models.checkpoint_loading import (
    default_feature_extractor,
    is_head,
    load_config,
    load_feature_extractor,
    load_pretrained,
    log_adjustment,
    override_config,
)
from ser_hf.models.context import cut_context
from ser_hf.models.frozen import settle_frozen_part
from ser_hf.models.padding import make_padding_aware

SPECTROGRAM_MODELS = ("whisper", "audio-spectrogram-transformer")  # the stock classifiers have no SpecAugment
MIN_MASK_FRAMES = 10  # frames of 20 ms in the shortest training audio, 0.25 s
# A parameter of a transformer layer. The lists of convolutions have the same name in some architectures.
LAYER = re.compile(r"(?<!pos_conv_embed\.)(?<!adapter\.)\blayers?\.(\d+)\.")
# Entries that ser_hf adds to the configuration of its models. They describe the trained head and must not be copied to
# a model with a new head.
CALIBRATED = {
    "adapted_voice", "calibration_temperature", "majority_temperature", "rating_scale", "recommended_preprocessing",
    "uncertainty_threshold",
}  # fmt: skip


def build_model(
    model_name_or_path: str | None = None,
    *,
    outputs: Sequence[str],
    problem_type: str = "single_label_classification",
    model_type: str | None = None,
    config_overrides: dict[str, str] | None = None,
    freeze: str = "none",
    layer_sum: bool = False,
    masking: dict[str, float] | None = None,
    longest: float | None = None,
    layerdrop: float | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> tuple[PreTrainedModel, SequenceFeatureExtractor]:
    """Return a stock audio classifier in float32 and its feature extractor.

    Args:
        model_name_or_path: Hub id or folder of a pretrained encoder; None for random weights.
        outputs: Names of the outputs, such as emotions in the order of their labels.
        problem_type: `problem_type` of the config, by which `pipeline` selects the function for the logits.
        model_type: Architecture for random weights, such as "mel" or "whisper"; None with a pretrained encoder.
        config_overrides: Values of the model configuration by name, as text.
        freeze: What is not trained, see `freeze_parameters`.
        layer_sum: Whether the input of the head is a learned weighted sum of all layers.
        masking: SpecAugment settings: any of `mask_time_prob`, `mask_time_length`, `mask_feature_prob` and
            `mask_feature_length`. They are ignored for spectrogram models, which are masked in the collator.
        longest: Duration in seconds of the longest utterance of training and validation, to which the context of
            Whisper is shortened; None for the full context.
        layerdrop: Value that replaces the layerdrop of the architecture, if it has one; None for its default.
        revision: Branch, tag or commit of the encoder on the Hub; None for the newest commit.
        trust_remote_code: Whether to run the Python code in the checkpoint.

    Returns:
        The model and its feature extractor.

    Raises:
        ValueError: If neither or both of `model_name_or_path` and `model_type` are given, the architecture does not
            support an option, or the checkpoint lacks weights of the encoder.
        OSError: If there is no such checkpoint.

    Examples:
        >>> model, _ = build_model(model_type="mel", outputs=["angry", "happy"])
        >>> model.config.id2label
        {0: 'angry', 1: 'happy'}
    """
    if (model_name_or_path is None) == (model_type is None):
        raise ValueError(
            "Expected either model_name_or_path (a pretrained encoder) or model_type (an architecture to train from "
            f"random weights), found {model_name_or_path!r} and {model_type!r}."
        )
    label2id = {name: i for i, name in enumerate(outputs)}
    labels = {"label2id": label2id, "id2label": dict(enumerate(outputs)), "problem_type": problem_type}
    if model_type is not None:
        config = AutoConfig.for_model(model_type)
    elif model_name_or_path is not None:
        config = load_config(model_name_or_path, trust_remote_code, revision)
        for name in CALIBRATED & vars(config).keys():
            delattr(config, name)
    config.update(labels)
    if config_overrides:
        config = override_config(config, config_overrides)
    _configure(config, layer_sum=layer_sum, masking=masking or {}, layerdrop=layerdrop)
    if model_name_or_path is None:
        model = AutoModelForAudioClassification.from_config(config)
        feature_extractor = default_feature_extractor(config)
    else:
        model = load_pretrained(model_name_or_path, config, trust_remote_code)
        feature_extractor = load_feature_extractor(model_name_or_path, config, trust_remote_code=trust_remote_code)
    if config.model_type == "whisper" and longest is not None:
        cut_context(model, feature_extractor, longest)  # type: ignore[arg-type]
    freeze_parameters(model, freeze)
    make_padding_aware(model)
    return model, feature_extractor


def _configure(config: PreTrainedConfig, *, layer_sum: bool, masking: dict, layerdrop: float | None) -> None:
    if layer_sum:
        if not hasattr(config, "use_weighted_layer_sum"):
            raise ValueError(f"layer_sum: '{config.model_type}' has no layer sum. Do not use this option.")
        config.use_weighted_layer_sum = True
    name = "encoder_layerdrop" if config.model_type == "whisper" else "layerdrop"
    layerdrop = 0.0 if layer_sum else layerdrop  # a dropped layer has no hidden state for the sum
    if layerdrop is not None and getattr(config, name, layerdrop) != layerdrop:
        reason = "dropped layers break DDP, gradient checkpointing, layer sums and frozen layers"
        log_adjustment(name, getattr(config, name), layerdrop, reason)
        setattr(config, name, layerdrop)
    if config.model_type in SPECTROGRAM_MODELS:
        return
    if hasattr(config, "apply_spec_augment"):
        config.apply_spec_augment = any(masking.get(key) for key in ("mask_time_prob", "mask_feature_prob"))
    config.update(masking)
    if config.model_type != "mel" and getattr(config, "mask_time_length", 0) > MIN_MASK_FRAMES:
        reason = "a span longer than the utterance crashes SpecAugment"
        log_adjustment("mask_time_length", config.mask_time_length, MIN_MASK_FRAMES, reason)
        config.mask_time_length = MIN_MASK_FRAMES


def freeze_parameters(model: PreTrainedModel, freeze: str) -> None:
    """Exclude parameters from training, in place; frozen layers have no dropout.

    Args:
        model: Audio classifier.
        freeze: "none", "cnn" (the convolutions before the transformer), "encoder" (everything except the head), or a
            number of layers, which are counted from the input: these layers and everything outside of the layers,
            except the head.

    Raises:
        ValueError: If the architecture has no convolutional front end, no layers, or fewer layers.
    """
    if freeze.isdigit():
        _freeze_layers(model, int(freeze))
    elif freeze == "encoder":
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(parameter.requires_grad and is_head(name))
    elif freeze == "cnn" and hasattr(model, "freeze_feature_encoder"):
        model.freeze_feature_encoder()  # type: ignore[operator]
    elif freeze == "cnn" and model.config.model_type == "whisper":
        for name in ("encoder.conv1", "encoder.conv2"):
            model.get_submodule(name).requires_grad_(False)
    elif freeze == "cnn":
        raise ValueError(f"freeze: '{model.config.model_type}' has no convolutional front end. Use none or encoder.")
    settle_frozen_part(model)


def _freeze_layers(model: PreTrainedModel, count: int) -> None:
    layers = count_layers(model)
    if not 0 < count <= layers:
        raise ValueError(
            f"freeze: '{model.config.model_type}' has {layers} layers, found {count}. Use none or encoder."
        )
    for name, parameter in model.named_parameters():
        if not is_head(name) and layer_number(name) <= count:
            parameter.requires_grad_(False)


def count_layers(model: nn.Module) -> int:
    """Return the number of transformer layers of the encoder; 0 for an architecture without such layers."""
    return max(layer_number(name) for name, _ in model.named_parameters())


def layer_number(name: str) -> int:
    """Return the number of the transformer layer of a parameter, from 1; 0 for a parameter outside of the layers.

    Examples:
        >>> layer_number("wavlm.encoder.layers.2.attention.q_proj.weight")
        3
        >>> layer_number("wavlm.feature_projection.projection.weight")
        0
    """
    found = LAYER.search(name)
    return int(found[1]) + 1 if found else 0
