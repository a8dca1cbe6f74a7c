"""Check a checkpoint: one function per kind of fault, shared by the gate and the doctor.

No check runs code of the checkpoint or loads a pickle.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from transformers import PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES

from ser_hf import foreign_files, tasks
from ser_hf.data.collator import FIXED_LENGTH
from ser_hf.data.hearing import read_hearing
from ser_hf.models import checkpoint_schema, configuration_mel, modeling_mel
from ser_hf.models.checkpoint_loading import (
    UNUSED,
    absent_weights,
    is_head,
    load_classifier,
    load_stored_feature_extractor,
)
from ser_hf.runs.weights import weights_of

CLASSES = {**MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES, "mel": "MelForAudioClassification"}
MEL_CODE = {Path(module.__file__).name: Path(module.__file__) for module in (configuration_mel, modeling_mel)}  # type: ignore[arg-type]
MEL_AUTO_MAP = {
    "AutoConfig": "configuration_mel.MelConfig",
    "AutoModelForAudioClassification": "modeling_mel.MelForAudioClassification",
}
CALLS = ("auto_map", "custom_pipelines")  # keys of JSON files that make transformers run code
PICKLES = (".bin", ".ckpt", ".joblib", ".npz", ".pickle", ".pkl", ".pt", ".pth", ".skops")
NEVER_PUBLISHED = "training_args.bin"  # written by the Trainer
FLOATS = {"F32", "F16", "BF16"}


@dataclass(frozen=True)
class Check:
    """Hold the result of one check.

    Attributes:
        name: Name of the check.
        passed: Whether no fault was found.
        found: Finding as text.
        remedy: How to fix the fault, if there is one.

    Examples:
        >>> Check("weights type", False, "F64", "Save the model in float32.").passed
        False
    """

    name: str
    passed: bool
    found: str
    remedy: str = ""


def check_contents(folder: Path) -> Check:
    """Check that all files are regular files in the folder, and that the values of config.json are in range."""
    name, remedy = "files and values", "Correct the value, or replace the file by a regular one, before it is loaded."
    try:
        checkpoint_schema.check_config(folder)
        config = read_json_or_empty(folder / "config.json")
        if (stored := config.get("recommended_preprocessing")) is not None:
            read_hearing(stored, "config.json: recommended_preprocessing")
        if task := config.get(tasks.CONFIG_KEY):
            tasks.check_task(task)
    except ValueError as error:
        return Check(name, False, str(error).removesuffix("."), remedy)
    return Check(name, True, "regular files, values in range")


def check_architecture(folder: Path) -> Check:
    """Check that config.json names an audio classifier of transformers."""
    config = read_json_or_empty(folder / "config.json")
    kind, named = config.get("model_type"), config.get("architectures") or [None]
    if not config:
        found, remedy = "config.json is missing or not valid JSON", "Save the model with save_pretrained."
    elif kind not in CLASSES:
        found, remedy = f"model_type {kind!r}", f"Expected one of {sorted(CLASSES)}."
    else:
        found = f"{named[0]}, model_type '{kind}'"
        remedy = f"Expected {CLASSES[kind]}, which pipeline loads: load the weights into that class and save it."
    return Check("architecture", bool(config) and named == [CLASSES.get(kind)], found, remedy)  # type: ignore[arg-type]


def check_code(folder: Path) -> Check:
    """Check that the checkpoint contains no code, except for unchanged copies of the files of the mel model."""
    files = {path.name for path in folder.glob("*.py")}
    called = [
        (path.name, call) for path in sorted(folder.glob("*.json")) for call in _find_calls(read_json_or_empty(path))
    ]
    if not files and not called:
        return Check("code", True, "none: a stock model")
    same = all(name in MEL_CODE and (folder / name).read_bytes() == MEL_CODE[name].read_bytes() for name in files)
    if same and files == set(MEL_CODE) and called == [("config.json", MEL_AUTO_MAP)]:
        return Check("code", True, "the two files of the mel model, as in this version of ser_hf")
    found = f"files {sorted(files)}, called by {called}"
    remedy = "The code is not run. Save the model again with this version of ser_hf, or without code."
    return Check("code", False, found, remedy)


def check_labels(folder: Path) -> Check:
    """Check that all labels have different names, with the ids 0, 1 and so on."""
    config = read_json_or_empty(folder / "config.json")
    names, ids = config.get("id2label") or {}, config.get("label2id") or {}
    remedy = "Write the emotions into id2label and label2id of config.json, in the order of the model's outputs."
    if not (isinstance(names, dict) and isinstance(ids, dict)):
        return Check("label names", False, f"id2label {names} and label2id {ids} instead of two objects", remedy)
    faults = []
    if len(names) < (1 if config.get("problem_type") == "regression" else 2):
        faults.append(f"{len(names)} names in id2label")
    if unnamed := [name for name in names.values() if re.fullmatch(r"(?i)(label_)?\d+|\s*", str(name))]:
        faults.append(f"{', '.join(map(str, unnamed))}: not names of emotions")
    if set(names) != set(map(str, range(len(names)))):
        faults.append(f"ids {', '.join(names)} instead of 0 to {len(names) - 1}")
    if len({str(name).casefold() for name in names.values()}) < len(names):
        faults.append(f"a repeated name in {', '.join(map(str, names.values()))}")
    if ids != {name: int(number) for number, name in names.items() if number.isdigit()}:
        faults.append("label2id is not the inverse of id2label")
    return Check("label names", not faults, "; ".join(faults) or f"{len(names)}: {', '.join(names.values())}", remedy)


def check_preprocessor(folder: Path) -> Check:
    """Check that the feature extractor loads, has a sampling rate and returns the attention mask if one is needed."""
    remedy = "Save the feature extractor of the training into the folder: feature_extractor.save_pretrained(folder)."
    stored = read_json_or_empty(folder / "preprocessor_config.json")
    if not stored:
        return Check("preprocessor", False, "preprocessor_config.json is missing or not valid JSON", remedy)
    try:
        kind = str(read_json_or_empty(folder / "config.json").get("model_type"))
        extractor = load_stored_feature_extractor(str(folder), kind, trust_remote_code=False)
    except (OSError, ValueError) as error:
        return Check("preprocessor", False, f"cannot be loaded: {str(error).splitlines()[0]}", remedy)
    if not stored.get("sampling_rate"):
        return Check("preprocessor", False, "no sampling_rate", "Add the sampling_rate of the training audio in Hz.")
    if not isinstance(extractor, FIXED_LENGTH) and not extractor.return_attention_mask:
        remedy = "Set return_attention_mask to true: without a mask, padding changes the scores."
        return Check("preprocessor", False, "return_attention_mask is false", remedy)
    return Check("preprocessor", True, f"{type(extractor).__name__}, {stored['sampling_rate']} Hz")


def check_format(folder: Path) -> Check:
    """Check that the weights are in safetensors files, and that there is no pickle."""
    if pickles := [path.name for path in pickles_of(folder)]:
        remedy = "A pickle can run code when it is loaded. Save the weights as safetensors and delete the pickle."
        return Check("weights format", False, ", ".join(pickles), remedy)
    files = weights_of(folder)
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    found = f"{len(files)} safetensors, {megabytes:.1f} MB" if files else "no model.safetensors"
    return Check("weights format", bool(files), found, "Save the model with save_pretrained.")


def check_shards(folder: Path) -> Check:
    """Check that the weight files are complete and agree with their index."""
    try:
        held = {path.name: set(_header(path)) for path in weights_of(folder)}
    except SafetensorError as error:
        remedy = "Copy or save them again: a file is truncated or damaged."
        return Check("weights files", False, f"unreadable: {error}", remedy)
    index = read_json_or_empty(folder / "model.safetensors.index.json").get("weight_map")
    if index is None:
        index = dict.fromkeys(held.get("model.safetensors", ()), "model.safetensors")
    named: dict[str, set[str]] = {}
    for key, file in index.items():
        named.setdefault(file, set()).add(key)
    wrong = sorted(file for file in held | named if held.get(file) != named.get(file))
    found = f"the index does not agree with {wrong}" if wrong else f"{len(held)}, with {len(index)} weights"
    remedy = "Delete the weights and their index, and save the model again."
    return Check("weights files", bool(held) and not wrong, found, remedy)


def check_dtype(folder: Path) -> Check:
    """Check that the weights are float32, float16 or bfloat16."""
    kinds = {dtype for path in weights_of(folder) for dtype in _header(path).values() if "F" in dtype}
    found = ", ".join(sorted(kinds)) or "no floating-point weights"
    return Check("weights type", bool(kinds) and kinds <= FLOATS, found, "Save the model in float32.")


def check_finite(folder: Path) -> Check:
    """Check that no weight is NaN or infinite."""
    faulty, count = [], 0
    for key, tensor in _tensors(folder):
        count += tensor.numel()
        if not torch.isfinite(tensor).all():
            faulty.append(f"{key} ({(~torch.isfinite(tensor)).sum()} of {tensor.numel()})")
    found = f"not finite: {', '.join(faulty[:3])}" if faulty else f"all {count} numbers"
    return Check("weights finite", not faulty, found, "The training diverged: use an earlier checkpoint.")


def check_keys(folder: Path) -> Check:
    """Check that the file has all weights of the stock class and no others."""
    _, loading = load_stock(folder)
    missing = absent_weights(loading)
    unexpected = sorted(key for key in loading["unexpected_keys"] if not key.endswith(UNUSED))
    faults = []
    if heads := [key for key in missing if is_head(key)]:
        faults.append(f"a random head, because {', '.join(heads)} are missing")
    if others := [key for key in missing if not is_head(key)]:
        faults.append(f"{len(others)} random weights in the encoder (first: {others[0]})")
    if unexpected:
        faults.append(f"{len(unexpected)} weights that the class does not have (first: {unexpected[0]})")
    remedy = "Save the trained model with save_pretrained; ser-hf doctor --fix converts heads with other weight names."
    return Check("weights complete", not faults, "; ".join(faults) or "none missing, none unexpected", remedy)


def run_checks(checks: Sequence[Callable[[Path], Check]], folder: Path) -> list[Check]:
    """Run all checks; a check that raises an error, for example because of a damaged file, counts as failed."""
    return [_run_check(check, folder) for check in checks]


def read_json_or_empty(path: Path) -> dict:
    """Return the content of a JSON file; an empty dict if it is missing, damaged or not a JSON object."""
    try:
        return foreign_files.read_json(path)
    except (OSError, ValueError):
        return {}


def pickles_of(folder: Path) -> list[Path]:
    """Return the files of a checkpoint that may be pickles, except for training_args.bin, which is never published."""
    return sorted(path for path in folder.iterdir() if path.suffix in PICKLES and path.name != NEVER_PUBLISHED)


def _run_check(check: Callable[[Path], Check], folder: Path) -> Check:
    try:
        return check(folder)
    except Exception as error:  # damaged files raise errors of many types in the libraries
        function = check.func if isinstance(check, partial) else check
        name = function.__name__.removeprefix("check_").replace("_", " ")
        reason = next(iter(str(error).splitlines()), "no reason given")
        remedy = "A file is damaged or was not written by transformers: save the model again."
        return Check(name, False, f"the check failed with {type(error).__name__}: {reason}", remedy)


def load_stock(folder: Path) -> tuple[PreTrainedModel, dict]:
    """Load the stock classifier in float32 without patches or code of the checkpoint.

    Returns:
        The model, and the loading info of transformers.
    """
    model, loading = load_classifier(folder, use_safetensors=True)
    return model.eval(), loading


def _find_calls(content: object) -> list[object]:
    """Return the values of `CALLS` at any depth of a JSON value."""
    if not isinstance(content, dict):
        return []
    return [content[key] for key in CALLS if content.get(key)] + [
        call for value in content.values() for call in _find_calls(value)
    ]


def _header(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return {key: file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118


def _tensors(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    for path in weights_of(folder):
        with safe_open(path, "pt") as file:
            for key in file.keys():  # noqa: SIM118
                yield key, file.get_tensor(key)
