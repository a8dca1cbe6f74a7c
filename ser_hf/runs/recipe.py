"""`recipe.yaml`: the resolved recipe in the output folder; read, written and compared here only."""

import dataclasses
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from ser_hf.cache import write_text
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.file_names import RECIPE
from ser_hf.runs.training_arguments import SerTrainingArguments
from ser_hf.runs.training_options import TrainingOptions

# Where the data lie and where results go: on this machine only.
PLACES = {"data_root", "audio_root", "output_dir"}
# Settings of launching, logging and publishing do not identify a recipe.
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


def _recorded_keys(arguments: Any) -> dict:
    keys = {item.name: getattr(arguments, item.name) for item in dataclasses.fields(arguments) if item.init}
    if isinstance(arguments, SerTrainingArguments):
        keys = _set_keys(arguments, keys)
    return {key: value for key, value in keys.items() if key not in PLACES | NOT_RECORDED}


def _set_keys(training: SerTrainingArguments, keys: dict) -> dict:
    """Return the keys that this class sets a default for, and all others that differ from their default."""
    settled = {name: getattr(training, name) for name in ("output_dir", "use_cpu", "metric_for_best_model")}
    reference = type(training)(**settled)  # greater_is_better follows from the metric
    own = {item.name for item in dataclasses.fields(TrainingOptions)}
    return {
        key: value.value if isinstance(value, Enum) else value
        for key, value in keys.items()
        if not key.startswith(LAUNCH_PREFIXES) and (key in own or value != getattr(reference, key))
    }


def corpora_of(recipe: dict) -> list[str]:
    """Return the names of a recipe's corpora, each once."""
    return [recipe["corpus"]] if isinstance(recipe["corpus"], str) else list(dict.fromkeys(recipe["corpus"]))


def write_recipe(folder: str | Path, recipe: dict, *, comment: str) -> None:
    """Write recipe.yaml into a folder that exists.

    Args:
        folder: The output folder.
        recipe: From `resolve_recipe`.
        comment: Its first lines, without the number sign.
    """
    header = "".join(f"# {line}\n" for line in comment.splitlines())
    write_text(Path(folder, RECIPE), header + yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True))


def read_recipe(folder: str | Path) -> dict:
    """Return the settings in a folder's recipe.yaml.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged, or does not name a corpus.
    """
    return parse_recipe_file(Path(folder, RECIPE))


def parse_recipe_file(path: str | Path) -> dict:
    """Return the settings in a file like recipe.yaml; otherwise as `read_recipe`."""
    try:
        recipe = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"'{path}' is damaged: {str(error).splitlines()[0]}") from error
    if not isinstance(recipe, dict) or "corpus" not in recipe:
        raise ValueError(f"'{path}' names no corpus: expected the settings of a run.")
    return recipe


def list_differences(held: dict, wanted: dict) -> list[str]:
    """Return the settings in which two recipes differ, but for the number of epochs, each in words."""
    held = {"task": "categories"} | held  # versions that knew no other task did not record it
    return [
        f"{key}: {held.get(key)} there, {wanted.get(key)} here"
        for key in sorted(held.keys() | wanted.keys())
        if key != "num_train_epochs" and held.get(key) != wanted.get(key)
    ]
