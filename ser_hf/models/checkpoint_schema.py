"""Check the files of a checkpoint before transformers reads them: kinds of files, types and ranges of values.

A value of config.json or preprocessor_config.json decides how much memory and time a model needs, and a named pipe
blocks the process that opens it. `checkpoint_loading` and the checks of gate and doctor therefore call these functions
first.
"""

import math
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import torch
from huggingface_hub import HfApi
from huggingface_hub.errors import OfflineModeIsEnabled
from transformers import PreTrainedConfig
from transformers.models.auto.feature_extraction_auto import FEATURE_EXTRACTOR_MAPPING_NAMES
from transformers.models.auto.modeling_auto import MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING
from transformers.utils import cached_file

from ser_hf.foreign_files import LARGEST_JSON, check_files, read_json
from ser_hf.models.location import TIMEOUT, commit_of

CONFIG, PREPROCESSOR, ADAPTER = "config.json", "preprocessor_config.json", "adapter_config.json"
INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
WEIGHTS = (".safetensors", ".bin", ".ckpt")
MOST_LABELS = 5_000
LONGEST_LIST = 20_000  # items; stored mel filters have one per frequency bin
# Lowest and highest number by the name of its key, at any depth; the first pattern that matches counts.
RANGES: dict[str, tuple[float, float]] = {
    r"_?num_labels": (1, MOST_LABELS),
    r"sampling_rate": (1_000, 768_000),  # Hz
    r"chunk_length|max_length_s": (0.1, 600),  # seconds
    r"n_fft|fft_length|win_length|hop_length|frame_length": (1, 16_384),  # samples
    r"n_mels|num_mel_bins|n_mfcc|feature_size": (1, 1_024),
    r"n_samples|nb_max_samples": (1, 600 * 768_000),
    r"nb_max_frames|max_length|max_source_positions": (1, 100_000),  # frames
}
# The same for values of which there may be lists.
SIZES: dict[str, tuple[float, float]] = {
    r".*layers": (0, 500),
    r".*(size|dim|channels|heads|groups|positions|embeddings|kernel|stride)|d_model": (0, 1_000_000),
    r"rating_scale": (-1_000_000, 1_000_000),
}
ANY = (-math.inf, math.inf)
CHOICES: dict[str, tuple[object, ...]] = {
    "problem_type": (None, "regression", "single_label_classification", "multi_label_classification"),
    **dict.fromkeys(
        ("dtype", "torch_dtype"),
        (None, "auto", "float32", "float", "float16", "half", "bfloat16", "float64", "double"),
    ),
}
TYPES: dict[str, tuple[type, ...]] = {
    "model_type": (str,),
    "architectures": (list, type(None)),
    "id2label": (dict, type(None)),
    "label2id": (dict, type(None)),
    "feature_extractor_type": (str, type(None)),
    "return_attention_mask": (bool, type(None)),
    "do_normalize": (bool, type(None)),
    "uncertainty_threshold": (int, float, type(None)),
    "rating_scale": (list, type(None)),
    "ser_hf_task": (str, type(None)),
}
# Class of the feature extractor by architecture; two differ from the mapping of transformers.
EXTRACTORS = FEATURE_EXTRACTOR_MAPPING_NAMES | {
    "mel": "Wav2Vec2FeatureExtractor",
    "wav2vec2-bert": "SeamlessM4TFeatureExtractor",
}
MOST_PARAMETERS = 5_000_000_000
MOST_BYTES = 8 * MOST_PARAMETERS  # of all weights, in float64
SPARE_PARAMETERS = 50_000_000  # that the weights may lack, such as a new head


def check_config(name: str | os.PathLike, revision: str | None = None) -> None:
    """Check config.json of a checkpoint, the names in its index of weights and, in a folder, the kinds of all files.

    Args:
        name: Folder, or id on the Hub, whose file is downloaded into the cache.
        revision: Branch, tag or commit on the Hub; None for the newest commit.

    Raises:
        ValueError: If a file is no regular file in the folder, config.json is too large or damaged, one of its values
            has the wrong type or is out of range, or the weights are in another place.
    """
    if Path(name).is_dir():
        for folder in (Path(name), Path(name, "onnx")):
            check_files(folder)
    for file, size in _list_hub_files(name, revision).items():
        if file in (CONFIG, PREPROCESSOR, ADAPTER, *INDEXES) and size > LARGEST_JSON:
            raise ValueError(f"'{name}': {file} has {size / 1e6:.1f} MB: expected at most {LARGEST_JSON / 1e6:g} MB.")
    check_values(_read(name, CONFIG, revision), CONFIG)
    if adapter := _read(name, ADAPTER, revision):  # transformers would load the model that it names
        raise ValueError(
            f"'{name}' is an adapter of the model {_show_value(adapter.get('base_model_name_or_path'))}: expected all "
            "weights in one checkpoint. Merge them with peft, `model.merge_and_unload().save_pretrained(FOLDER)`, or "
            f"delete {ADAPTER} if it does not belong to these weights."
        )
    for index in INDEXES:
        for file in (_read(name, index, revision).get("weight_map") or {}).values():
            if not isinstance(file, str) or Path(file).name != file:
                raise ValueError(f"{index}: expected names of files in the same folder, found {_show_value(file)}.")


def check_feature_extractor(name: str | os.PathLike, model_type: str, revision: str | None = None) -> None:
    """Check preprocessor_config.json of a checkpoint.

    Args:
        name: Folder, or id on the Hub, whose file is downloaded into the cache.
        model_type: Architecture of the model, from its config.json.
        revision: Branch, tag or commit on the Hub; None for the newest commit.

    Raises:
        ValueError: If the file is no regular file in the folder, too large or damaged, one of its values has the wrong
            type or is out of range, or the feature extractor is not that of the architecture. A class of the
            checkpoint's own code is accepted.
    """
    content = _read(name, PREPROCESSOR, revision)
    check_values(content, PREPROCESSOR)
    expected, found = EXTRACTORS.get(model_type), content.get("feature_extractor_type")
    if expected and found and found != expected and "auto_map" not in content:
        raise ValueError(
            f"{PREPROCESSOR}: feature_extractor_type: expected {expected} for the architecture '{model_type}', found "
            f"{found}."
        )


def check_values(content: dict[str, Any], name: str) -> None:
    """Check types and ranges of the values in config.json or preprocessor_config.json.

    Args:
        content: The JSON object.
        name: Name of the file, for error messages.

    Raises:
        ValueError: If a value has the wrong type or is out of range.

    Examples:
        >>> check_values({"model_type": "hubert", "num_hidden_layers": 12}, "config.json")
        >>> check_values({"num_hidden_layers": 10**6}, "config.json")
        Traceback (most recent call last):
        ValueError: config.json: num_hidden_layers: expected 0 to 500, found 1000000.
    """
    for key, kinds in TYPES.items():
        if key in content and not isinstance(content[key], kinds):
            expected = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
            raise ValueError(f"{name}: {key}: expected {expected}, found {_show_value(content[key])}.")
    for key, choices in CHOICES.items():
        if key in content and content[key] not in choices:
            raise ValueError(f"{name}: {key}: expected one of {list(choices)}, found {_show_value(content[key])}.")
    _check_labels(content.get("id2label") or {}, name)
    for key, value in _list_numbers(content, name):
        low, high = _find_range(key, RANGES | SIZES)
        if not low <= value <= high:  # NaN too
            raise ValueError(f"{name}: {key}: expected {low} to {high}, found {_show_value(value)}.")
    for key, value in content.items():
        if value is not None and not _is_number(value) and _find_range(key, RANGES) != ANY:
            raise ValueError(f"{name}: {key}: expected a number, found {_show_value(value)}.")
    scale = content.get("rating_scale")
    if scale is not None and not (len(scale) == 2 and all(map(_is_number, scale)) and scale[0] < scale[1]):
        raise ValueError(
            f"{name}: rating_scale: expected the lowest and the highest rating, found {_show_value(scale)}."
        )


def check_size(config: PreTrainedConfig, folder: str | os.PathLike) -> None:
    """Check that a model of this configuration is not much larger than its weights: the rest would be random.

    Args:
        config: Configuration of a stock audio classifier; of others, only the size of the weights is checked.
        folder: The checkpoint: folder, or id on the Hub, whose weights are not downloaded.

    Raises:
        ValueError: If the weights have more than `MOST_BYTES`, or the model has more parameters than the weights files,
            or more than `MOST_PARAMETERS`.
    """
    stored = _measure_weights(folder, commit_of(config))
    if stored > MOST_BYTES:
        raise ValueError(
            f"'{folder}' has weights of {stored / 1e9:.3g} GB: expected at most {MOST_BYTES / 1e9:.3g} GB. Delete "
            "files that do not belong to the model."
        )
    if type(config) not in MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING:
        return
    with torch.device("meta"):  # no memory, no random numbers
        model = MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING[type(config)](config)  # type: ignore[operator]
    parameters, most = sum(tensor.numel() for tensor in model.state_dict().values()), MOST_PARAMETERS
    if stored or Path(folder).is_dir():
        most = min(most, stored + SPARE_PARAMETERS)  # at least one byte per parameter
    if parameters > most:
        raise ValueError(
            f"'{folder}': its config.json describes a model of {parameters / 1e6:.0f} M parameters: expected at most "
            f"{most / 1e6:.0f} M, from the size of its weights."
        )


def _read(name: str | os.PathLike, file: str, revision: str | None) -> dict[str, Any]:
    """Return the content of a JSON file in a folder or on the Hub; empty if there is none."""
    if Path(name).is_dir():
        return read_json(Path(name, file)) if Path(name, file).exists() else {}
    try:
        path = cached_file(name, file, revision=revision, _raise_exceptions_for_missing_entries=False)
    except OSError:  # no such repository: whoever loads the model explains it
        return {}
    return read_json(path) if path else {}


def _measure_weights(name: str | os.PathLike, revision: str | None) -> int:
    """Return the size in bytes of the weights in a folder or on the Hub; 0 if it is unknown."""
    if files := _list_hub_files(name, revision):
        return sum(size for file, size in files.items() if Path(file).suffix in WEIGHTS)
    if not Path(name).is_dir():  # on the Hub, which cannot be reached: an earlier download
        config = cached_file(
            name, CONFIG, revision=revision, local_files_only=True, _raise_exceptions_for_missing_entries=False
        )
        if config is None:
            return 0
        name = Path(config).parent
    return sum(map(_measure_file, (path for path in Path(name).iterdir() if path.suffix in WEIGHTS)))


def _list_hub_files(name: str | os.PathLike, revision: str | None) -> dict[str, int]:
    """Return the sizes in bytes of the files of a model on the Hub; empty for a folder, or without a connection."""
    if Path(name).is_dir():
        return {}
    try:
        info = HfApi().model_info(os.fspath(name), revision=revision, files_metadata=True, timeout=TIMEOUT)
    except (OfflineModeIsEnabled, httpx2.HTTPError):
        return {}
    return {file.rfilename: file.size or 0 for file in info.siblings or () if "/" not in file.rfilename}


def _measure_file(path: Path) -> int:
    """Return the size in bytes of a file of weights, unpacked if it is an archive of torch."""
    size = path.stat().st_size
    if path.suffix != ".safetensors" and zipfile.is_zipfile(path):
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:  # a damaged one: the reader explains it
            return sum(item.file_size for item in archive.infolist())
    return size


def _check_labels(names: dict[str, Any], name: str) -> None:
    if len(names) > MOST_LABELS:
        raise ValueError(f"{name}: id2label: expected at most {MOST_LABELS} labels, found {len(names)}.")
    if set(names) != set(map(str, range(len(names)))):
        raise ValueError(
            f"{name}: id2label: expected the keys 0 to {len(names) - 1} as text, found {_show_value(list(names))}."
        )
    if unnamed := [label for label in names.values() if not (isinstance(label, str) and label.strip())]:
        raise ValueError(f"{name}: id2label: expected a name of each label, found {_show_value(unnamed[0])}.")


def _list_numbers(content: Any, name: str, key: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers of a JSON value with the names of their keys."""
    if isinstance(content, dict):
        for inner, value in content.items():
            yield from _list_numbers(value, name, inner)
    elif isinstance(content, list):
        if len(content) > LONGEST_LIST:
            raise ValueError(f"{name}: {key}: expected at most {LONGEST_LIST} values, found {len(content)}.")
        for value in content:
            yield from _list_numbers(value, name, key)
    elif _is_number(content):
        yield key, content


def _find_range(key: str, ranges: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    return next((limits for pattern, limits in ranges.items() if re.fullmatch(pattern, key)), ANY)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _show_value(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
