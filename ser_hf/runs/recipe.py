"""Read, write and compare `recipe.yaml`, the resolved recipe in the output folder of a run."""

import dataclasses
from collections.abc import Collection
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from ser_hf.cache import write_text
from ser_hf.foreign_files import read_yaml
from ser_hf.heads.probe_arguments import ProbeArguments
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.file_names import RECIPE
from ser_hf.runs.model_arguments import ModelArguments
from ser_hf.runs.task_options import OPTIONAL, list_options
from ser_hf.runs.training_arguments import SerTrainingArguments
from ser_hf.runs.training_options import TrainingOptions

# Paths of data and results, which are valid on one machine only.
PLACES = {"data_root", "audio_root", "output_dir"}
# Settings for launching, logging and publishing are not part of a recipe.
NOT_RECORDED = {
    "processes", "per_device_eval_batch_size", "use_cpu", "disable_tqdm", "push_to_hub", "hub_model_id",
    "cache_frozen", "rehearse", "report_to", "run_name", "project", "save_total_limit", "debug", "skip_memory_metrics",
}  # fmt: skip
TEXTS = ("task", "target", "model_name_or_path", "model_type", "trim", "speech", "protocol", "no_consensus")
LAUNCH_PREFIXES = ("logging_", "log_", "dataloader_", "hub_", "ddp_", "local_", "trackio_")


def resolve_recipe(data: DataArguments, *arguments: object) -> dict:
    """Return all settings that influence the results; of the keys of the Trainer, only those that are set.

    Options that the task does not have are left out.

    Of a model folder and of the folder of noises, only the name is recorded and not the path, because the recipe will
    be published.

    Args:
        data: Corpora, labels, split and augmentation.
        *arguments: Dataclasses with the other settings of the recipe: model and training, or probe.
    """
    absent = OPTIONAL.keys() - list_options(data) - {"target"}
    recipe = {key: value for each in (data, *arguments) for key, value in _recorded_keys(each).items()}
    recipe = {key: value for key, value in recipe.items() if key not in absent}
    name = recipe["model_name_or_path"]
    if name is not None and Path(name).is_dir():
        recipe["model_name_or_path"] = Path(name).name
    if data.noise_folder:
        recipe["noise_folder"] = Path(data.noise_folder).name
    if len(data.corpus) == 1:
        recipe["corpus"] = data.corpus[0]
    return recipe


def _recorded_keys(arguments: Any) -> dict:
    keys = {item.name: getattr(arguments, item.name) for item in dataclasses.fields(arguments) if item.init}
    if isinstance(arguments, SerTrainingArguments):
        keys = _set_keys(arguments, keys)
    return {key: value for key, value in keys.items() if key not in PLACES | NOT_RECORDED}


def _set_keys(training: SerTrainingArguments, keys: dict) -> dict:
    """Return the keys of `TrainingOptions`, and all other keys whose value differs from the default."""
    settled = {name: getattr(training, name) for name in ("output_dir", "use_cpu", "metric_for_best_model")}
    reference = type(training)(**settled)  # greater_is_better follows from the metric
    own = {item.name for item in dataclasses.fields(TrainingOptions)}
    return {
        key: value.value if isinstance(value, Enum) else value
        for key, value in keys.items()
        if not key.startswith(LAUNCH_PREFIXES) and (key in own or value != getattr(reference, key))
    }


def corpora_of(recipe: dict) -> list[str]:
    """Return the names of the corpora of a recipe, without repetition."""
    return [recipe["corpus"]] if isinstance(recipe["corpus"], str) else list(dict.fromkeys(recipe["corpus"]))


def write_recipe(folder: str | Path, recipe: dict, *, comment: str) -> None:
    """Write recipe.yaml into an existing folder.

    Args:
        folder: Output folder.
        recipe: Settings from `resolve_recipe`.
        comment: First lines of the file, without the number sign.
    """
    header = "".join(f"# {line}\n" for line in comment.splitlines())
    write_text(Path(folder, RECIPE), header + yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True))


def rerun_command(launch: str, recipe: dict) -> str:
    """Return the command that runs a recipe.yaml again; the folders on this machine are not in it.

    Args:
        launch: The command without arguments.
        recipe: Settings from `resolve_recipe`.

    Examples:
        >>> rerun_command("ser-hf probe", {"model_name_or_path": "openai/whisper-tiny"})
        'ser-hf probe recipe.yaml --data_root FOLDER --output_dir FOLDER'
    """
    encoder = recipe["model_name_or_path"]
    is_folder = encoder is not None and "/" not in encoder  # ids on the Hub have an owner
    model = f" --model_name_or_path FOLDER/{encoder}" if is_folder else ""
    return f"{launch} recipe.yaml{model} --data_root FOLDER --output_dir FOLDER"


def read_recipe(folder: str | Path) -> dict:
    """Return the settings in recipe.yaml of a folder.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is damaged, names no corpus, or has a value of another type than in a recipe.
    """
    return parse_recipe_file(Path(folder, RECIPE))


def parse_recipe_file(path: str | Path) -> dict:
    """Return the settings in a file like recipe.yaml, see `read_recipe`."""
    recipe = read_yaml(path)
    corpus = recipe.get("corpus")
    names = corpus if isinstance(corpus, list) else [corpus]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"'{path}' names no corpus: expected the settings of a run, found corpus {corpus!r}.")
    for key in TEXTS:
        if not isinstance(recipe.get(key), str | None):
            raise ValueError(f"'{path}': {key}: expected text, found {recipe[key]!r}.")
    return recipe


def list_differences(stored: dict, requested: dict, *, ignored: Collection[str] = ()) -> list[str]:
    """Return a text for each setting that differs between two recipes, except for the ignored settings."""
    defaults = {
        item.name: item.default if item.default_factory is dataclasses.MISSING else item.default_factory()
        for kind in (DataArguments, ModelArguments, ProbeArguments, TrainingOptions)
        for item in dataclasses.fields(kind)
    }
    older = defaults | OPTIONAL  # options that older runs lack
    stored, requested = older | stored, older | requested
    return [
        f"{key}: {stored.get(key)} there, {requested.get(key)} here"
        for key in sorted(stored.keys() | requested.keys())
        if key not in ignored and stored.get(key) != requested.get(key)
    ]
