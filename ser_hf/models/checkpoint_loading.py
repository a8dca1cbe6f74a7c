"""Load checkpoints as stock audio classifiers: configuration, weights and feature extractor."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from logging import Filter, LogRecord
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
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
)
from transformers.models.auto.feature_extraction_auto import FEATURE_EXTRACTOR_MAPPING
from transformers.utils import cached_file, logging

from ser_hf.models import modeling_mel  # noqa: F401  registers the architecture "mel" with transformers
from ser_hf.models.checkpoint_schema import CONFIG, check_config, check_feature_extractor, check_size
from ser_hf.models.context import POSITIONS_PER_SECOND
from ser_hf.models.location import check_location, commit_of

logger = logging.get_logger(__name__)
HEAD = ("classifier", "projector", "layer_weights")  # first component of the parameter names of the classification head
UNUSED = "masked_spec_embed"  # mask vector of SpecAugment, which many checkpoints lack; it has no effect on predictions


def load_config(name: str, trust_remote_code: bool, revision: str | None = None) -> PreTrainedConfig:
    """Load the configuration of a checkpoint, given by its Hub id or folder.

    For a Hub id, its attribute `_commit_hash` is the commit, from which weights and feature extractor are then loaded.
    The attribute is not saved.

    Args:
        name: Hub id or folder.
        trust_remote_code: Whether to run the Python code in the checkpoint.
        revision: Branch, tag or commit on the Hub; None for the newest commit.

    Raises:
        OSError: If there is no such checkpoint or revision.
        ValueError: If `name` is a file, or its files or values are not acceptable, see `check_config`.
    """
    check_location(name)
    check_config(name, revision)
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=trust_remote_code, revision=revision)
    except OSError as error:
        at = f" at revision '{revision}'" if revision else ""
        raise OSError(f"Cannot load '{name}'{at}: expected a model's Hub id or folder. {error}") from error
    except (StrictDataclassError, TypeError, AttributeError) as error:  # values of other types than in the class
        reason = str(error).partition("\n")[0]
        raise ValueError(f"'{name}': config.json has values that its architecture does not accept: {reason}") from error
    if not os.path.isdir(name):  # in the cache, the folder of a file of the Hub has the name of the commit
        config._commit_hash = Path(str(cached_file(name, CONFIG, revision=revision))).parent.name
    return config


def override_config(config: PreTrainedConfig, values: dict[str, str]) -> PreTrainedConfig:
    """Return a configuration with other values, given as text.

    Raises:
        ValueError: If a name or a value is not accepted by the architecture.
    """
    config.update_from_string(",".join(f"{key}={value}" for key, value in values.items()))
    changed = type(config).from_dict(config.to_dict())  # validates the new values
    changed._commit_hash = commit_of(config)
    return changed


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
        config: Configuration to use instead of the stored one; the weights are loaded from its commit.
        trust_remote_code: Whether to run the Python code in the checkpoint.
        use_safetensors: Whether the weights must be in safetensors format; None for safetensors if available.

    Returns:
        The model, and the loading information of `from_pretrained`.
    """
    config = config or load_config(os.fspath(name), trust_remote_code)
    check_size(config, name)
    with _without_load_report():
        return AutoModelForAudioClassification.from_pretrained(
            name,
            config=config,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            trust_remote_code=trust_remote_code,
            use_safetensors=use_safetensors,
            revision=commit_of(config),
        )


@contextmanager
def _without_load_report() -> Iterator[None]:
    """Keep transformers from logging which weights are missing: this is in the loading information."""
    reporter = logging.get_logger("transformers.modeling_utils")

    class Others(Filter):
        def filter(self, record: LogRecord) -> bool:
            return "LOAD REPORT" not in record.getMessage()

    others = Others()
    reporter.addFilter(others)
    try:
        yield
    finally:
        reporter.removeFilter(others)


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
        log_adjustment("dtype", stored, torch.float32, "training in half precision does not converge")
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

    Raises:
        ValueError: For the reasons of `load_stored_feature_extractor`.
    """
    try:
        feature_extractor = load_stored_feature_extractor(
            name, config.model_type, trust_remote_code, revision=commit_of(config)
        )
    except OSError:
        feature_extractor = default_feature_extractor(config)
        log_adjustment(
            "feature extractor", None, type(feature_extractor).__name__, f"'{name}' contains no feature extractor"
        )
    if isinstance(feature_extractor, Wav2Vec2FeatureExtractor) and not feature_extractor.return_attention_mask:
        log_adjustment("return_attention_mask", False, True, "without an attention mask, padding changes the logits")
        feature_extractor.return_attention_mask = True
    return feature_extractor


def load_stored_feature_extractor(
    name: str, model_type: str, trust_remote_code: bool, *, revision: str | None = None
) -> SequenceFeatureExtractor:
    """Load the feature extractor of a checkpoint.

    Args:
        name: Hub id or folder.
        model_type: Architecture of the model.
        trust_remote_code: Whether to run the Python code in the checkpoint.
        revision: Branch, tag or commit on the Hub; None for the newest commit.

    Raises:
        OSError: If the checkpoint has none.
        ValueError: If its class or its values are not acceptable, see `check_feature_extractor`.
    """
    check_feature_extractor(name, model_type, revision)
    try:
        return AutoFeatureExtractor.from_pretrained(name, trust_remote_code=trust_remote_code, revision=revision)
    except (TypeError, AttributeError, LookupError, ArithmeticError) as error:  # values of other types or sizes
        reason = str(error).partition("\n")[0]
        raise ValueError(f"'{name}': preprocessor_config.json has values that its class refuses: {reason}") from error


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


def is_head(name: str) -> bool:
    """Return whether the parameter or module of this name belongs to the classification head."""
    return name.split(".")[0] in HEAD


def log_adjustment(name: str, before: object, after: object, reason: str) -> None:
    """Log that a setting of the checkpoint is changed."""
    logger.info(f"{name} adjusted from {before} to {after} because {reason}.")
