"""`recipe.yaml`: the resolved recipe in the output folder, which reruns this exact model and tells runs apart."""

import dataclasses
from enum import Enum
from pathlib import Path

import yaml

from ser_hf import __version__
from ser_hf.training.arguments import DataArguments, ModelArguments, SerTrainingArguments

FILE_NAME = "recipe.yaml"
# Where the data lie and where results go: on this machine only.
PLACES = {"data_root", "output_dir"}
# What may change between two runs of the same recipe: its length, and how it is launched, logged and published.
NOT_IDENTITY = {
    "num_train_epochs", "max_steps", "per_device_eval_batch_size", "use_cpu", "disable_tqdm",
    "report_to", "run_name", "project", "save_total_limit", "push_to_hub", "debug", "skip_memory_metrics",
}  # fmt: skip
LAUNCH_PREFIXES = ("logging_", "log_", "dataloader_", "hub_", "ddp_", "local_", "trackio_")


def resolve_recipe(data: DataArguments, model: ModelArguments, training: SerTrainingArguments) -> dict:
    """Return all settings that make the model: every data and model key, and the training keys that are set.

    A model folder named by an absolute path is recorded by its name: the recipe will be published.
    """
    recipe = dataclasses.asdict(data) | dataclasses.asdict(model) | _training_keys(training)
    name = recipe["model_name_or_path"]
    if name is not None and Path(name).is_absolute():
        recipe["model_name_or_path"] = Path(name).name
    return {key: value for key, value in recipe.items() if key not in PLACES}


def _training_keys(training: SerTrainingArguments) -> dict:
    """Return the keys that this class sets a default for, and all others that differ from their default."""
    reference = type(training)(output_dir=training.output_dir, use_cpu=training.use_cpu)
    own = set(SerTrainingArguments.__annotations__)
    keys = {}
    for item in dataclasses.fields(training):
        value = getattr(training, item.name)
        if item.init and item.name != "hub_token" and (item.name in own or value != getattr(reference, item.name)):
            keys[item.name] = value.value if isinstance(value, Enum) else value
    return keys


def claim_folder(folder: str | Path, recipe: dict) -> None:
    """Write `recipe.yaml` into the output folder, unless the folder holds another recipe's run.

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
    elif folder.exists() and any(folder.iterdir()):
        raise FileExistsError(
            f"'{folder}' is not empty and holds no run of ser_hf. Take a new --output_dir: nothing is overwritten."
        )
    folder.mkdir(parents=True, exist_ok=True)
    header = (
        f"# Resolved by ser_hf {__version__}. Rerun it with:\n"
        "# accelerate launch recipes/finetune.py recipe.yaml --data_root FOLDER --output_dir FOLDER\n"
    )
    held.write_text(header + yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _differences(held: dict, wanted: dict) -> list[str]:
    return [
        f"{key}: {held.get(key)} there, {wanted.get(key)} here"
        for key in sorted(held.keys() | wanted.keys())
        if key not in NOT_IDENTITY and not key.startswith(LAUNCH_PREFIXES) and held.get(key) != wanted.get(key)
    ]
