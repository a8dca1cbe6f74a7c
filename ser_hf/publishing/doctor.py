"""Diagnose any checkpoint, and write a repaired copy if a stock class can compute the same function.

The doctor checks what a model needs to give correct scores. Only the gate also requires evidence: a model card with
scores, the results and the stored answers. No code of a checkpoint is run, and only tensors are read from a pickle.
"""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from transformers import PreTrainedConfig, PreTrainedModel, SequenceFeatureExtractor

from ser_hf.foreign_files import check_file, read_text
from ser_hf.models.checkpoint_loading import default_feature_extractor, load_config, load_feature_extractor
from ser_hf.models.checkpoint_schema import check_size
from ser_hf.publishing.answers import check_padding
from ser_hf.publishing.checks import (
    CALLS,
    CLASSES,
    MEL_AUTO_MAP,
    MEL_CODE,
    Check,
    check_architecture,
    check_code,
    check_contents,
    check_dtype,
    check_finite,
    check_format,
    check_keys,
    check_labels,
    check_preprocessor,
    check_shards,
    read_json_or_empty,
    run_checks,
)
from ser_hf.publishing.foreign_heads import AUTHORS_CODE, HeadLayout, describe_head
from ser_hf.publishing.foreign_weights import read_weights
from ser_hf.publishing.gate import check_head
from ser_hf.publishing.head_conversion import convert_head, load_state
from ser_hf.publishing.privacy import check_paths, check_tokens
from ser_hf.runs.weights import weights_of

READABLE = (check_contents, check_architecture, check_labels, check_preprocessor, check_paths, check_tokens)
NAMED = (check_code, check_format)  # these check the names of the files
LOADED = (check_dtype, check_finite, check_keys)
FETCHED = [  # no pickles and no code, except for the code of the mel model, which is compared and not run
    "*.json", "*.md", "*.txt", "*.yaml", "model*.safetensors", "head.skops", *MEL_CODE,
]  # fmt: skip
EXACT = "with the same logits"
MEAN = "Pooling by the mean over frames was assumed: compare the scores of one utterance with its author's code."
COPIED = ("README.md", "LICENSE*", "all_results.json", "recipe.yaml", "figures/*.png")


def examine(folder_or_id: str | Path) -> list[Check]:
    """Run all checks that apply to a checkpoint, and return their results.

    Args:
        folder_or_id: Folder, or id on the Hub.

    Raises:
        FileNotFoundError: If neither the folder nor the model exists, or it is not a checkpoint.
    """
    folder = find_checkpoint(folder_or_id)
    if (folder / "head.json").is_file():
        return run_checks((check_head, check_contents, check_paths, check_tokens), folder)
    if not check_contents(folder).passed:
        return run_checks(READABLE, folder)
    checks = run_checks(READABLE, folder) + _check_names(folder_or_id, folder)
    layout, check = _diagnose_head(folder)
    checks.append(check)
    if not weights_of(folder):
        return checks
    checks += run_checks([check_shards], folder)
    if checks[-1].passed and layout and layout.kind == "stock":
        checks += run_checks(LOADED, folder)
        if checks[-1].passed and check_preprocessor(folder).passed:
            checks += run_checks([check_padding], folder)
    return checks


def _check_names(folder_or_id: str | Path, folder: Path) -> list[Check]:
    """Run the checks in `NAMED`; for a model on the Hub also on the names of files that were not downloaded."""
    if folder == Path(folder_or_id):
        return run_checks(NAMED, folder)
    with TemporaryDirectory() as directory:
        commit = folder.name  # the cache names the folder of a snapshot after its commit
        for name in HfApi().list_repo_files(str(folder_or_id), revision=commit):
            if "/" not in name and name.endswith((".json", ".py")) and (folder / name).is_file():
                shutil.copyfile(check_file(folder / name), Path(directory, name))
            elif "/" not in name:
                Path(directory, name).touch()
                if (folder / name).is_file():
                    os.truncate(Path(directory, name), (folder / name).stat().st_size)  # without its content
        return run_checks(NAMED, Path(directory))


def find_checkpoint(folder_or_id: str | Path) -> Path:
    """Return the folder of a checkpoint; a model on the Hub is downloaded without its code and pickles.

    `pytorch_model.bin` is downloaded only if there are no safetensors.

    Args:
        folder_or_id: Folder, or id on the Hub.

    Raises:
        FileNotFoundError: If neither the folder nor the model exists, or it is not a checkpoint.
    """
    folder = Path(folder_or_id)
    if not folder.exists():
        folder = _download(str(folder_or_id))
    if not folder.is_dir():
        raise FileNotFoundError(f"'{folder_or_id}' is a file: expected the folder of the checkpoint, with config.json.")
    if not any((folder / name).is_file() for name in ("config.json", "head.json")):
        found = sorted(path.name for path in folder.iterdir())[:5] or "nothing"
        raise FileNotFoundError(
            f"'{folder_or_id}' is not a checkpoint: expected config.json and model.safetensors, found {found}. "
            "Pass the folder that save_pretrained wrote."
        )
    return folder


def _download(repo_id: str) -> Path:
    try:
        folder = Path(snapshot_download(repo_id, allow_patterns=FETCHED, ignore_patterns=["*/*"]))
        if not weights_of(folder):
            patterns = [*FETCHED, "pytorch_model*.bin", "pytorch_model.bin.index.json"]
            folder = Path(snapshot_download(repo_id, allow_patterns=patterns, ignore_patterns=["*/*"]))
    except (HFValidationError, HfHubHTTPError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise FileNotFoundError(
            f"'{repo_id}' is not a folder, and could not be downloaded from the Hub ({reason}). "
            "Check the spelling; for a private or gated model log in with `hf auth login`."
        ) from error
    return folder


def _diagnose_head(folder: Path) -> tuple[HeadLayout | None, Check]:
    try:
        _, _, layout = _read_checkpoint(folder)
    except Exception as error:  # as in run_checks: the other checks still run
        found = str(error) if isinstance(error, OSError | ValueError) else f"{type(error).__name__}: {error}"
        remedy = "The checkpoint cannot be loaded in this state."
        if isinstance(error, FileNotFoundError) and (folder / "hyperparams.yaml").is_file():
            remedy = "The .ckpt files of SpeechBrain are not downloaded from the Hub: download them, pass their folder."
        return None, Check("head", False, found, remedy)
    if layout.kind == "stock":
        return layout, Check("head", True, layout.description)
    if layout.kind == "linear":
        remedy = f"The head is linear, so ser-hf doctor --fix converts it to the stock head, {layout.reason or EXACT}."
        return layout, Check("head", False, f"{layout.description}; pipeline would use a random head", remedy)
    remedy = "Use its author's code, or fine-tune its encoder again with a stock head."
    found = f"{layout.description}; pipeline would use a random head or a wrong one: {layout.reason}"
    return layout, Check("head", False, found, remedy)


def _read_checkpoint(folder: Path) -> tuple[PreTrainedConfig, dict[str, torch.Tensor], HeadLayout]:
    stored = read_json_or_empty(folder / "config.json")
    if (kind := stored.get("model_type")) not in CLASSES:
        raise ValueError(f"config.json: expected a model_type among {list(CLASSES)}, found {kind!r}.")
    config = load_config(str(folder), trust_remote_code=False)
    for key in CALLS:  # code of the checkpoint, which a stock class does not need
        vars(config).pop(key, None)
    check_size(config, folder)
    weights = read_weights(folder)
    layout = describe_head(folder, config, weights)
    if layout.kind != "foreign" and (author := _find_author(stored, layout)):
        layout = HeadLayout("foreign", author, AUTHORS_CODE)
    return config, weights, layout


def _find_author(stored: dict, layout: HeadLayout) -> str:
    called, (named, *_) = stored.get("auto_map"), stored.get("architectures") or [None]
    if called and called != MEL_AUTO_MAP:
        return f"a head computed by its author's code, in auto_map {called}"
    # The names of other layouts are used by one toolkit only, so its function is known; these are used by many.
    if layout.classifier in (None, "classifier") and named not in (None, CLASSES[stored["model_type"]]):
        return f"a head of the class '{named}', which is not in transformers but has weight names of the stock head"
    return ""


def repair(folder_or_id: str | Path, output_dir: str | Path, *, emotions: Sequence[str] | None = None) -> list[str]:
    """Write a repaired copy of a checkpoint: stock class, safetensors, preprocessor and label names.

    The original is not changed. Nothing is written if no stock class computes the same function as the head.

    Args:
        folder_or_id: Folder, or id on the Hub.
        output_dir: Empty folder for the copy; created if it does not exist.
        emotions: Names in the order of the model's outputs; None for the names in the checkpoint.

    Returns:
        A line for each fault that was repaired, and for each that was not.

    Raises:
        FileNotFoundError: If the checkpoint does not exist or has no weights.
        FileExistsError: If `output_dir` is not empty.
        ValueError: If the checkpoint cannot be read safely, lacks weights, or has another number of emotions; if
            `output_dir` is inside the checkpoint; or if a name in `emotions` is repeated.
    """
    folder, output_dir = find_checkpoint(folder_or_id), Path(output_dir)
    if output_dir.exists() and (not output_dir.is_dir() or any(output_dir.iterdir())):
        raise FileExistsError(f"'{output_dir}' is not empty: expected a new folder for the repaired copy.")
    if output_dir.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"'{output_dir}' is inside '{folder}', which must not be changed: choose another folder.")
    copied = [check_file(path, folder) for pattern in COPIED for path in folder.glob(pattern)]
    config, weights, layout = _read_checkpoint(folder)
    if layout.kind == "foreign":
        return [f"Not repaired, nothing written: {layout.description}; {layout.reason}"]
    repaired = []
    if layout.kind == "linear":
        repaired.append(f"Repaired: {layout.description} is now the stock head, {layout.reason or EXACT}. {MEAN}")
    model = convert_head(config, weights, layout) if layout.kind == "linear" else load_state(config, weights)
    found = run_checks([check_architecture], folder) + _check_names(folder_or_id, folder)
    if faults := [f"{check.name} ({check.found})" for check in found if not check.passed]:
        repaired.append(f"Repaired: {', '.join(faults)}, now a stock {type(model).__name__} in safetensors.")
    if any(tensor.dtype == torch.float64 for tensor in weights.values()):
        model.float()
        repaired.append("Repaired: weights in float64, now float32.")
    repaired += _name_labels(model, folder, emotions)
    extractor = _choose_extractor(folder, model.config)
    repaired += _describe_extractor(extractor, folder, model.config)
    model.save_pretrained(output_dir)
    extractor.save_pretrained(output_dir)
    for path in copied:
        (output_dir / path.relative_to(folder)).parent.mkdir(exist_ok=True)
        shutil.copyfile(path, output_dir / path.relative_to(folder))
    left = [check for check in examine(output_dir) if not check.passed]
    return repaired + [f"Not repaired: {check.name}: {check.found}. {check.remedy}" for check in left]


def _choose_extractor(folder: Path, config: PreTrainedConfig) -> SequenceFeatureExtractor:
    try:
        return load_feature_extractor(str(folder), config)
    except (TypeError, ValueError):  # its class is not in transformers
        return default_feature_extractor(config)


def _describe_extractor(extractor: SequenceFeatureExtractor, folder: Path, config: PreTrainedConfig) -> list[str]:
    found = check_preprocessor(folder)
    if found.passed:
        return []
    settings = f"{type(extractor).__name__}, {extractor.sampling_rate} Hz"
    if hasattr(extractor, "do_normalize"):
        settings += f", do_normalize={extractor.do_normalize}"
    if extractor.to_dict() == default_feature_extractor(config).to_dict():
        settings = f"the default of the architecture ({settings}); check that training used it"
    return [f"Repaired: preprocessor ({found.found}), now {settings}"]


def _name_labels(model: PreTrainedModel, folder: Path, emotions: Sequence[str] | None) -> list[str]:
    if emotions is None and check_labels(folder).passed:
        return []
    rows = model.config.num_labels
    source = "as given" if emotions else ""
    if emotions is None:
        emotions, source = _find_names(folder)
    elif len(emotions) != rows:
        raise ValueError(f"Expected the names of {rows} emotions, found {len(emotions)}: {list(emotions)}.")
    if len({emotion.casefold() for emotion in emotions}) < len(emotions):
        raise ValueError(f"Expected each emotion once, found a repeated name: {list(emotions)}.")
    if len(emotions) != rows:
        return []
    model.config.id2label = dict(enumerate(emotions))
    model.config.label2id = {emotion: label for label, emotion in enumerate(emotions)}
    return [f"Repaired: label names {source}: {', '.join(emotions)}."]


def _find_names(folder: Path) -> tuple[list[str], str]:
    """Return the names in the order of their labels, from the first file that has them, and a note of the source."""
    config = read_json_or_empty(folder / "config.json")
    id2label = {int(label): str(name) for label, name in (config.get("id2label") or {}).items() if label.isdigit()}
    label2id = {int(label): name for name, label in (config.get("label2id") or {}).items() if str(label).isdigit()}
    plain, coded = (
        read_text(folder / name) if (folder / name).exists() else "" for name in ("labels.txt", "label_encoder.txt")
    )
    # SpeechBrain: a line 'neu' => 0 per label; the state of its encoder follows below a line of =.
    encoder = {int(label): name for name, label in re.findall(r"'(.+)' => (\d+)", coded.partition("====")[0])}
    for names, source in (
        (id2label, "from id2label in config.json"),
        (label2id, "from label2id in config.json"),
        (dict(enumerate(filter(None, map(str.strip, plain.splitlines())))), "from labels.txt"),
        (encoder, "from label_encoder.txt"),
    ):
        named = [names.get(label, "LABEL_0") for label in range(len(names))]
        if len(set(named)) == len(named) > 1 and not any(re.fullmatch(r"(?i)label_\d+", name) for name in named):
            return named, source
    return [], ""
