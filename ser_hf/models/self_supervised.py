"""Encoders with the head of their self-supervised objective, to continue their pretraining.

transformers has the objective of wav2vec 2.0 only: the model recognises the quantised features of masked frames among
features of other masked frames. Its classes for UniSpeech return no loss, and it has none for HuBERT, WavLM and others.

Source: Baevski et al. 2020, wav2vec 2.0, https://arxiv.org/abs/2006.11477
"""

from typing import Any

import torch
from transformers import (
    AutoConfig,
    PreTrainedConfig,
    PreTrainedModel,
    SequenceFeatureExtractor,
    Wav2Vec2ConformerForPreTraining,
    Wav2Vec2ForPreTraining,
)

from ser_hf.models.checkpoint_loading import (
    absent_weights,
    default_feature_extractor,
    load_config,
    load_feature_extractor,
    log_adjustment,
    override_config,
)
from ser_hf.models.checkpoint_schema import check_size
from ser_hf.models.location import commit_of
from ser_hf.models.padding import make_padding_aware

OBJECTIVES: dict[str, Any] = {  # architecture -> class
    "wav2vec2": Wav2Vec2ForPreTraining,
    "wav2vec2-conformer": Wav2Vec2ConformerForPreTraining,
}
OBJECTIVE_PARTS = ("quantizer", "project_hid", "project_q")  # first component of the names of their parameters
DEFAULT_MASKING = 0.05  # `mask_time_prob` of a stock configuration


def build_self_supervised(
    model_name_or_path: str | None = None,
    *,
    model_type: str | None = None,
    config_overrides: dict[str, str] | None = None,
    layerdrop: float | None = None,
    revision: str | None = None,
) -> tuple[PreTrainedModel, SequenceFeatureExtractor]:
    """Return an encoder with its self-supervised objective in float32, and its feature extractor.

    Args:
        model_name_or_path: Hub id or folder of a pretrained encoder; None for random weights.
        model_type: Architecture for random weights; None with a pretrained encoder.
        config_overrides: Values of the model configuration by name, as text.
        layerdrop: Value that replaces the layerdrop of the architecture; None for its default.
        revision: Branch, tag or commit of the encoder on the Hub; None for the newest commit.

    Raises:
        ValueError: If the architecture has no self-supervised objective in transformers, or the checkpoint lacks
            weights of the encoder.
        OSError: If there is no such checkpoint.

    Examples:
        >>> build_self_supervised(model_type="hubert")
        Traceback (most recent call last):
        ...
        ValueError: transformers has no self-supervised objective of 'hubert': expected wav2vec2 or wav2vec2-conformer.
    """
    if model_name_or_path is None:
        config = AutoConfig.for_model(str(model_type))
    else:
        config = load_config(model_name_or_path, False, revision)
    if config.model_type not in OBJECTIVES:
        raise ValueError(
            f"transformers has no self-supervised objective of '{config.model_type}': expected "
            f"{' or '.join(OBJECTIVES)}."
        )
    kind = OBJECTIVES[config.model_type]
    if config_overrides:
        config = override_config(config, config_overrides)
    if layerdrop is not None and config.layerdrop != layerdrop:
        log_adjustment("layerdrop", config.layerdrop, layerdrop, "dropped layers break DDP and gradient checkpointing")
        config.layerdrop = layerdrop
    # The objective masks frames, but no channels. Without `mask_time_prob`, the model would have no mask vector.
    masking = config.mask_time_prob or DEFAULT_MASKING
    config.update({"apply_spec_augment": True, "mask_time_prob": masking, "mask_feature_prob": 0.0})
    if model_name_or_path is None:
        model, feature_extractor = kind(config), default_feature_extractor(config)
    else:
        model = _load_weights(kind, model_name_or_path, config)
        feature_extractor = load_feature_extractor(model_name_or_path, config)
    make_padding_aware(model)
    return model, feature_extractor


def _load_weights(kind: Any, name: str, config: PreTrainedConfig) -> PreTrainedModel:
    check_size(config, name)
    model, loading = kind.from_pretrained(
        name, config=config, dtype=torch.float32, output_loading_info=True, revision=commit_of(config)
    )
    absent = absent_weights(loading)
    if encoder := [key for key in absent if not key.startswith(OBJECTIVE_PARTS)]:
        raise ValueError(
            f"'{name}' lacks {len(encoder)} weights of its {config.model_type} encoder (first: {encoder[0]}); they "
            "would be random. Check that it is a checkpoint of this architecture."
        )
    if absent:
        log_adjustment("quantizer", None, "random weights", f"'{name}' contains the encoder only")
    return model
