"""`recipe.yaml`: the resolved recipe in the output folder, which reruns this exact model and tells runs apart."""

import dataclasses
import hashlib
import json
from enum import Enum
from pathlib import Path

import yaml
from datasets import DatasetDict
from filelock import FileLock, Timeout

from ser_hf import __version__
from ser_hf.cache import write_text
from ser_hf.runs.training_arguments import SerTrainingArguments
from ser_hf.runs.data_arguments import DataArguments

FILE_NAME = "recipe.yaml"
LOCK = ".lock"
PATIENCE = 15  # seconds: after a kill, loader processes outlive their run for a few
# Where the data lie and where results go: on this machine only.
PLACES = {"data_root", "audio_root", "output_dir"}
# How a run is launched, logged and published makes no other recipe, and concerns nobody who reruns it.
NOT_RECORDED = {
    "processes", "per_device_eval_batch_size", "use_cpu", "disable_tqdm", "push_to_hub", "hub_model_id",
    "report_to", "run_name", "project", "save_total_limit", "debug", "skip_memory_metrics",
}  # fmt: skip
LAUNCH_PREFIXES = ("logging_", "log_", "dataloader_", "hub_", "ddp_", "local_", "trackio_")


def resolve_recipe(data: DataArguments, *arguments: object) -> dict:
    """Return all settings that make the result: every key, but of the Trainer's only those that are set.

    A model folder is recorded by its name, without the path to it: the recipe will be published.

    Args:
        data: What is recognised of whom.
        *arguments: Dataclasses with the other settings of the recipe, of model and training or of the probe.
    """
    recipe = {key: value for each in (data, *arguments) for key, value in _recorded_keys(each).items()}
    name = recipe["model_name_or_path"]
    if name is not None and Path(name).is_dir():
        recipe["model_name_or_path"] = Path(name).name
    if len(data.corpus) == 1:
        recipe["corpus"] = data.corpus[0]
    return recipe


def _recorded_keys(arguments: object) -> dict:
    keys = {item.name: getattr(arguments, item.name) for item in dataclasses.fields(arguments) if item.init}
    if isinstance(arguments, SerTrainingArguments):
        keys = _set_keys(arguments, keys)
    return {key: value for key, value in keys.items() if key not in PLACES | NOT_RECORDED}


def _set_keys(training: SerTrainingArguments, keys: dict) -> dict:
    """Return the keys that this class sets a default for, and all others that differ from their default."""
    reference = type(training)(output_dir=training.output_dir, use_cpu=training.use_cpu)
    own = set(SerTrainingArguments.__annotations__)
    return {
        key: value.value if isinstance(value, Enum) else value
        for key, value in keys.items()
        if not key.startswith(LAUNCH_PREFIXES) and (key in own or value != getattr(reference, key))
    }


def corpora_of(recipe: dict) -> list[str]:
    """Return the names of a recipe's corpora, each once."""
    return [recipe["corpus"]] if isinstance(recipe["corpus"], str) else list(dict.fromkeys(recipe["corpus"]))


def check_folder(folder: str | Path, recipe: dict) -> None:
    """Refuse an output folder that holds another recipe's run, or other files.

    Raises:
        FileExistsError: If it does.
    """
    folder = Path(folder)
    held = folder / FILE_NAME
    if held.exists():
        differences = _differences(yaml.safe_load(held.read_text(encoding="utf-8")), recipe)
        if differences:
            raise FileExistsError(
                f"'{folder}' holds another recipe's run ({'; '.join(differences)}). Take another --output_dir, or "
                "delete that folder if you no longer need it."
            )
    elif folder.exists() and any(path.name != LOCK for path in folder.iterdir()):
        raise FileExistsError(
            f"'{folder}' is not empty and holds no run of ser_hf. Take a new --output_dir: nothing is overwritten."
        )


def claim_folder(
    folder: str | Path, recipe: dict, dataset: DatasetDict, *, launch: str = "accelerate launch recipes/finetune.py"
) -> FileLock:
    """Write `recipe.yaml` and the corpus' fingerprint into the output folder, when all is ready to train.

    Returns:
        The folder's lock, held: nobody else claims the folder until it is released or the process ends.

    Raises:
        FileExistsError: If the folder holds a run of the same recipe on other data, or another process holds it.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        raise FileExistsError(
            f"Another process is running in '{folder}'. Wait for it or stop it, then run this again."
        ) from None
    fingerprint = hashlib.sha256()
    for part in dataset.values():
        columns = part.select_columns(["split", "path", "start", "end", "emotion", "speaker"])
        fingerprint.update(json.dumps(columns.to_dict()).encode())
    held = folder / "data.sha256"
    if held.exists() and held.read_text() != fingerprint.hexdigest():
        raise FileExistsError(
            f"'{folder}' holds a run of this recipe on other data: expected the files, labels and speakers that it "
            "began with. Take another --output_dir, or the former --data_root."
        )
    write_text(held, fingerprint.hexdigest())
    header = (
        f"# Resolved by ser_hf {__version__}. Rerun it with:\n"
        f"# {launch} recipe.yaml --data_root FOLDER --output_dir FOLDER\n"
    )
    text = header + yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True)
    write_text(folder / FILE_NAME, text)
    return lock


def _differences(held: dict, wanted: dict) -> list[str]:
    return [
        f"{key}: {held.get(key)} there, {wanted.get(key)} here"
        for key in sorted(held.keys() | wanted.keys())
        if key != "num_train_epochs" and held.get(key) != wanted.get(key)
    ]
