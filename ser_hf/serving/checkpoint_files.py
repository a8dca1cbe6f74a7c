"""Find and read files of a checkpoint in a folder or on the Hub, in addition to its weights."""

from pathlib import Path

from huggingface_hub import errors, hf_hub_download
from transformers import SequenceFeatureExtractor, Wav2Vec2FeatureExtractor

from ser_hf.data.audio import SAMPLING_RATE
from ser_hf.foreign_files import check_file, read_json
from ser_hf.models.checkpoint_loading import load_stored_feature_extractor
from ser_hf.runs.weights import hash_weights


def load_own_feature_extractor(name: str, model_type: str, trust_remote_code: bool) -> SequenceFeatureExtractor:
    """Load the feature extractor of a checkpoint; those of wav2vec2-like models always return the attention mask.

    Args:
        name: Folder, or id on the Hub.
        model_type: Architecture of the model.
        trust_remote_code: Allow code that comes with the checkpoint.

    Raises:
        OSError: If the checkpoint has no feature extractor.
        ValueError: If its sampling rate is not 16 kHz, or it is not acceptable, see `check_feature_extractor`.
    """
    try:
        feature_extractor = load_stored_feature_extractor(name, model_type, trust_remote_code)
    except OSError as error:
        raise OSError(
            f"'{name}' has no preprocessor_config.json, which defines the model's input features. "
            f"`ser-hf doctor {name} --fix` writes the default one of its architecture."
        ) from error
    if feature_extractor.sampling_rate != SAMPLING_RATE:
        found = feature_extractor.sampling_rate
        raise ValueError(f"'{name}': expected a sampling rate of {SAMPLING_RATE} Hz, found {found} Hz.")
    if isinstance(feature_extractor, Wav2Vec2FeatureExtractor):
        feature_extractor.return_attention_mask = True
    return feature_extractor


def is_outdated(name: str) -> bool:
    """Tell whether the weights in a folder have changed since the ONNX export, by the hashes in its export.json."""
    report = Path(name, "onnx", "export.json")
    exported = read_json(report, name).get("weights") if report.exists() else None
    found = hash_weights(name) if exported else {}
    return bool(found) and found != exported


def find_file(name: str, file: str) -> str | None:
    """Return the path of a file in a folder or a Hub repository, or None if it has no such file.

    A file on the Hub is downloaded into the cache.

    Args:
        name: Folder, or id on the Hub.
        file: Path in the folder or repository.

    Raises:
        ValueError: If it is no regular file in the folder.
    """
    if Path(name).is_dir():
        return str(check_file(Path(name, file), name)) if Path(name, file).exists() else None
    try:
        return hf_hub_download(name, file)
    except (errors.EntryNotFoundError, errors.RepositoryNotFoundError, errors.HFValidationError):
        return None
