"""Loading of audio classifiers of transformers, pretrained or with random weights, with named outputs."""

import math
import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    PreTrainedConfig,
    PreTrainedModel,
    SeamlessM4TFeatureExtractor,
    SequenceFeatureExtractor,
    Wav2Vec2FeatureExtractor,
    WhisperFeatureExtractor,
    WhisperForAudioClassification,
)
from transformers.models.auto.feature_extraction_auto import FEATURE_EXTRACTOR_MAPPING
from transformers.utils import logging

from ser_hf.models import modeling_mel  # noqa: F401  registers the architecture "mel" with transformers
from ser_hf.models.padding import make_padding_aware

logger = logging.get_logger(__name__)

HEAD = ("classifier", "projector", "layer_weights")  # first component of the parameter names of the classification head
POSITIONS_PER_SECOND = 50  # encoder frames of Whisper
SPECTRA_PER_SECOND = 100  # spectrogram frames of AST
SPECTROGRAM_MODELS = ("whisper", "audio-spectrogram-transformer")  # the stock classifiers have no SpecAugment
MIN_MASK_FRAMES = 10  # frames of 20 ms in the shortest training audio, 0.25 s
UNUSED = "masked_spec_embed"  # mask vector of SpecAugment, which many checkpoints lack; it has no effect on predictions
# Entries that ser_hf adds to the configuration of its models. They describe the trained head and must not be copied to
# a model with a new head.
CALIBRATED = {"calibration_temperature", "uncertainty_threshold", "recommended_preprocessing"}


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
    trust_remote_code: bool = False,
) -> tuple[PreTrainedModel, SequenceFeatureExtractor]:
    """Return a stock audio classifier in float32 and its feature extractor.

    Args:
        model_name_or_path: Hub id or folder of a pretrained encoder; None for random weights.
        outputs: Names of the outputs, such as emotions in the order of their labels.
        problem_type: What the outputs are; `pipeline` chooses the function that it applies to the logits by it.
        model_type: Architecture for random weights, such as "mel" or "whisper"; None with a pretrained encoder.
        config_overrides: Values of the model configuration by name, as text.
        freeze: "none", "cnn" (the convolutions before the transformer) or "encoder" (everything except the head).
        layer_sum: Whether the input of the head is a learned weighted sum of all layers.
        masking: SpecAugment settings: any of `mask_time_prob`, `mask_time_length`, `mask_feature_prob` and
            `mask_feature_length`. They are ignored for spectrogram models, which are masked in the collator.
        longest: Duration in seconds of the longest utterance of training and validation, to which the context of
            Whisper is shortened; None for the full context.
        layerdrop: Value that replaces the layerdrop of the architecture, if it has one; None for its default.
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
        config = load_config(model_name_or_path, trust_remote_code)
        for name in CALIBRATED & vars(config).keys():
            delattr(config, name)
    config.update(labels)
    if config_overrides:
        config.update_from_string(",".join(f"{key}={value}" for key, value in config_overrides.items()))
        config = type(config).from_dict(config.to_dict())  # validates the new values
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


def load_config(name: str, trust_remote_code: bool) -> PreTrainedConfig:
    """Load the configuration of a checkpoint, given by its Hub id or folder.

    Raises:
        OSError: If there is no such checkpoint.
    """
    try:
        return AutoConfig.from_pretrained(name, trust_remote_code=trust_remote_code)
    except OSError as error:
        raise OSError(f"Cannot load '{name}': expected a model's Hub id or folder. {error}") from error


def _configure(config: PreTrainedConfig, *, layer_sum: bool, masking: dict, layerdrop: float | None) -> None:
    if layer_sum:
        if not hasattr(config, "use_weighted_layer_sum"):
            raise ValueError(f"layer_sum: '{config.model_type}' has no layer sum. Do not use this option.")
        config.use_weighted_layer_sum = True
    name = "encoder_layerdrop" if config.model_type == "whisper" else "layerdrop"
    layerdrop = 0.0 if layer_sum else layerdrop  # a dropped layer has no hidden state for the sum
    if layerdrop is not None and getattr(config, name, layerdrop) != layerdrop:
        _log_adjustment(
            name, getattr(config, name), layerdrop, "dropped layers break DDP, gradient checkpointing and layer sums"
        )
        setattr(config, name, layerdrop)
    if config.model_type in SPECTROGRAM_MODELS:
        return
    if hasattr(config, "apply_spec_augment"):
        config.apply_spec_augment = any(masking.get(key) for key in ("mask_time_prob", "mask_feature_prob"))
    config.update(masking)
    if config.model_type != "mel" and getattr(config, "mask_time_length", 0) > MIN_MASK_FRAMES:
        reason = "a span longer than the utterance crashes SpecAugment"
        _log_adjustment("mask_time_length", config.mask_time_length, MIN_MASK_FRAMES, reason)
        config.mask_time_length = MIN_MASK_FRAMES


def load_classifier(
    name: str | os.PathLike,
    *,
    config: PreTrainedConfig | None = None,
    trust_remote_code: bool = False,
    use_safetensors: bool | None = None,
) -> tuple[PreTrainedModel, dict]:
    """Load a checkpoint as an audio classifier in float32; weights that it lacks are initialised at random.

    Args:
        name: Hub id or folder.
        config: Configuration to use instead of the stored one.
        trust_remote_code: Whether to run the Python code in the checkpoint.
        use_safetensors: Whether the weights must be in safetensors format; None for safetensors if available.

    Returns:
        The model, and the loading information of `from_pretrained`.
    """
    return AutoModelForAudioClassification.from_pretrained(
        name,
        config=config,
        dtype=torch.float32,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        trust_remote_code=trust_remote_code,
        use_safetensors=use_safetensors,
    )


def absent_weights(loading: dict) -> list[str]:
    """Return the sorted names of the weights that a checkpoint lacks or contains with another shape.

    Args:
        loading: Loading information of `from_pretrained`, as returned by `load_classifier`.
    """
    absent = {*loading["missing_keys"], *(key for key, *_ in loading["mismatched_keys"])}
    return sorted(key for key in absent if not key.endswith(UNUSED))


def load_trained(name: str | os.PathLike, **options) -> PreTrainedModel:
    """Load a trained audio classifier in float32, and check that no weight is missing.

    Args:
        name: Hub id or folder.
        **options: Keyword arguments of `load_classifier`.

    Raises:
        ValueError: If weights are missing or have another shape.
    """
    model, loading = load_classifier(name, **options)
    if absent := absent_weights(loading):
        unused = sorted(loading["unexpected_keys"])
        raise ValueError(
            f"'{name}' lacks {len(absent)} weights of {type(model).__name__} (last: {absent[-1]}), so its predictions "
            f"would be random; it contains {len(unused)} unused weights (first: {unused[:2]}). Expected a checkpoint "
            f"with a trained head. Run `ser-hf doctor {name}` for details."
        )
    return model


def load_pretrained(name: str, config: PreTrainedConfig, trust_remote_code: bool) -> PreTrainedModel:
    """Load a pretrained encoder as an audio classifier in float32; only a missing head is initialised at random.

    Raises:
        ValueError: If the checkpoint lacks weights of the encoder.
    """
    stored = config.dtype
    model, loading = load_classifier(name, config=config, trust_remote_code=trust_remote_code)
    if stored not in (None, torch.float32):
        _log_adjustment("dtype", stored, torch.float32, "training in half precision does not converge")
    missing = [key for key in absent_weights(loading) if not is_head(key)]
    if missing:
        raise ValueError(
            f"'{name}' lacks {len(missing)} weights of its {config.model_type} encoder (first: {missing[0]}); "
            "they would be random. Check that it is a checkpoint of this architecture."
        )
    return model


def load_feature_extractor(
    name: str, config: PreTrainedConfig, *, trust_remote_code: bool = False
) -> SequenceFeatureExtractor:
    """Load the feature extractor of a checkpoint, or the default of its architecture if the checkpoint has none.

    Attention masks are switched on.
    """
    try:
        feature_extractor = AutoFeatureExtractor.from_pretrained(name, trust_remote_code=trust_remote_code)
    except OSError:
        feature_extractor = default_feature_extractor(config)
        _log_adjustment(
            "feature extractor", None, type(feature_extractor).__name__, f"'{name}' contains no feature extractor"
        )
    if isinstance(feature_extractor, Wav2Vec2FeatureExtractor) and not feature_extractor.return_attention_mask:
        _log_adjustment("return_attention_mask", False, True, "without an attention mask, padding changes the logits")
        feature_extractor.return_attention_mask = True
    return feature_extractor


def default_feature_extractor(config: PreTrainedConfig) -> SequenceFeatureExtractor:
    """Return the default feature extractor of an architecture, for the sizes in its configuration."""
    if config.model_type == "mel":
        return Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True)
    if config.model_type == "wav2vec2-bert":  # the mapping has another class
        return SeamlessM4TFeatureExtractor()
    kind: Any = FEATURE_EXTRACTOR_MAPPING[type(config)]  # typed as if it held pairs
    if kind is Wav2Vec2FeatureExtractor:
        return kind(return_attention_mask=True)
    if kind is WhisperFeatureExtractor:
        return kind(feature_size=config.num_mel_bins, chunk_length=config.max_source_positions // POSITIONS_PER_SECOND)
    return kind(num_mel_bins=config.num_mel_bins, max_length=config.max_length)


def cut_context(
    model: WhisperForAudioClassification, feature_extractor: WhisperFeatureExtractor, longest: float
) -> None:
    """Shorten the context of a Whisper model from 30 s to a whole number of seconds, in place.

    The position embeddings are sinusoids, of which the first rows are kept, so the result is exact. Longer audio is
    truncated.

    Args:
        model: Whisper classifier.
        feature_extractor: Its feature extractor.
        longest: Duration of the longest utterance in seconds; it is rounded up.
    """
    seconds = min(math.ceil(longest), model.config.max_source_positions // POSITIONS_PER_SECOND)
    positions = seconds * POSITIONS_PER_SECOND
    encoder = model.encoder
    rows = encoder.embed_positions.weight.data[:positions].clone()
    encoder.embed_positions = nn.Embedding.from_pretrained(rows, freeze=True)
    encoder.max_source_positions = model.config.max_source_positions = positions
    feature_extractor.chunk_length = seconds
    feature_extractor.n_samples = seconds * feature_extractor.sampling_rate
    feature_extractor.nb_max_frames = feature_extractor.n_samples // feature_extractor.hop_length


def context_of(config: PreTrainedConfig) -> float:
    """Return the context of a model in seconds, beyond which audio is truncated; infinite if there is no limit."""
    if config.model_type == "whisper":
        return config.max_source_positions / POSITIONS_PER_SECOND
    if config.model_type == "audio-spectrogram-transformer":
        return config.max_length / SPECTRA_PER_SECOND
    return math.inf


def freeze_parameters(model: PreTrainedModel, freeze: str) -> None:
    """Exclude parameters from training, in place.

    Args:
        model: Audio classifier.
        freeze: "none", "cnn" (the convolutions before the transformer) or "encoder" (everything except the head).

    Raises:
        ValueError: If `freeze` is "cnn" and the architecture has no convolutional front end.
    """
    if freeze == "encoder":
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(parameter.requires_grad and is_head(name))
    elif freeze == "cnn" and hasattr(model, "freeze_feature_encoder"):
        model.freeze_feature_encoder()  # type: ignore[operator]
    elif freeze == "cnn" and model.config.model_type == "whisper":
        for name in ("encoder.conv1", "encoder.conv2"):
            model.get_submodule(name).requires_grad_(False)
    elif freeze == "cnn":
        raise ValueError(f"freeze: '{model.config.model_type}' has no convolutional front end. Use none or encoder.")


def is_head(name: str) -> bool:
    """Return whether the parameter or module of this name belongs to the classification head."""
    return name.split(".")[0] in HEAD


def _log_adjustment(name: str, before: object, after: object, reason: str) -> None:
    logger.info(f"{name} adjusted from {before} to {after} because {reason}.")
