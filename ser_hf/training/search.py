"""A search of a recipe's settings: what is drawn, and one Optuna study that several processes share.

The study lies in a SQLite file in the output folder. Beside it lie files that processes lock: the system lets go of a
lock however its holder ends, so that the trial of a killed process is told from one that runs.
"""

import dataclasses
import json
from contextlib import suppress
from pathlib import Path

import optuna
import pandas
from filelock import FileLock, Timeout
from optuna.trial import TrialState

from ser_hf.runs.recipe import resolve_recipe

DATABASE, LOCK = "sweep.db", "sweep.lock"
COMPLETE, RUNNING, WAITING = TrialState.COMPLETE, TrialState.RUNNING, TrialState.WAITING


def search_space(arguments: list, names: list[str]) -> dict[str, list | float]:
    """Return what is searched, by recipe key: choices, or a number that stands for a tenth to ten times of it.

    Args:
        arguments: Data, model and training arguments. The first choice, and the number, are this recipe's own.
        names: Keys to search; none: all.

    Raises:
        ValueError: If a name is not of a setting that can be searched with this recipe.
    """
    data, model_args, training = arguments
    batch, epochs = training.per_device_train_batch_size, training.num_train_epochs
    space = {
        "learning_rate": training.learning_rate,
        "head_learning_rate": training.head_learning_rate or training.learning_rate,
        "optim": [training.optim.value, "adafactor", "rmsprop"],
        "lr_scheduler_type": [training.lr_scheduler_type.value, "linear", "cosine", "constant_with_warmup"],
        "per_device_train_batch_size": [batch, max(1, batch // 2), max(1, batch // 4)],  # larger ones may not fit
        "num_train_epochs": [epochs, max(1, epochs // 2), 2 * epochs],
        "noise_snr": [data.noise_snr, None, 20.0, 5.0],
        "pitch": [data.pitch, None, 2.0],
        "tempo": [data.tempo, None, 0.1],
        "speed": [data.speed, None, 0.1],
        "head_init": [model_args.head_init, "random", "probe"],
    }
    if model_args.model_name_or_path is None:
        del space["head_init"]  # random weights have nothing to probe
    if unknown := sorted(set(names) - set(space)):
        raise ValueError(f"search: expected some of {list(space)}, found {unknown}.")
    space = {name: space[name] for name in names or space}
    return {name: list(dict.fromkeys(around)) if isinstance(around, list) else around for name, around in space.items()}


def suggest(trial: optuna.trial.BaseTrial, space: dict[str, list | float]) -> dict:
    """Draw a trial's settings by the names and values that they have in a recipe."""
    return {
        name: trial.suggest_categorical(name, around)
        if isinstance(around, list)
        else float(f"{trial.suggest_float(name, around / 10, around * 10, log=True):.4g}")  # for people to read
        for name, around in space.items()
    }


def apply_settings(arguments: list, settings: dict) -> list:
    """Return the data, model and training arguments with other settings."""
    return [
        dataclasses.replace(part, **{name: value for name, value in settings.items() if hasattr(part, name)})
        for part in arguments
    ]


def connect(folder: str | Path) -> dict:
    """Return what leads Optuna to the study of an output folder, as `optuna.create_study` takes it."""
    url = f"sqlite:///{Path(folder, DATABASE).resolve()}"
    storage = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}})  # seconds, to write
    return {"storage": storage, "study_name": "sweep", "load_if_exists": True}


def open_study(folder: str | Path, arguments: list, space: dict[str, list | float]) -> optuna.Study:
    """Return the study of an output folder, begun where there is none; the recipe itself is its first trial.

    Raises:
        FileExistsError: If the folder holds a search around another recipe, or other files.
    """
    folder = Path(folder)
    held = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if held and not held & {DATABASE, LOCK}:
        raise FileExistsError(f"'{folder}' is not empty and holds no search. Take a new --output_dir.")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / LOCK):
        study = optuna.create_study(direction="maximize", **connect(folder))
        _check_recipe(study, folder, resolve_recipe(*arguments) | {"search": list(space)})
        fail_abandoned(study, folder)
        begun = study.get_trials(states=(COMPLETE, RUNNING, WAITING))
        if not any("recipe" in trial.user_attrs for trial in begun):
            own = {name: around[0] if isinstance(around, list) else around for name, around in space.items()}
            study.enqueue_trial(own, user_attrs={"recipe": True})
    return study


def _check_recipe(study: optuna.Study, folder: Path, recipe: dict) -> None:
    recipe = json.loads(json.dumps(recipe))  # as the database gives it back
    held = study.user_attrs.get("recipe", recipe)
    differing = sorted(key for key in held.keys() | recipe.keys() if held.get(key) != recipe.get(key))
    if differing:
        found = "; ".join(f"{key}: {held.get(key)} there, {recipe.get(key)} here" for key in differing)
        raise FileExistsError(f"'{folder}' holds a search around another recipe ({found}). Take another --output_dir.")
    study.set_user_attr("recipe", recipe)


def fail_abandoned(study: optuna.Study, folder: str | Path) -> None:
    """Mark the running trials of dead processes as failed: their lock is free. Call it under the folder's own lock."""
    for path in Path(folder).glob("process_*.lock"):
        with suppress(Timeout), FileLock(path, timeout=0):
            path.unlink()
    for trial in study.get_trials(states=(RUNNING,)):
        if not Path(folder, trial.user_attrs.get("lock", "nobody.lock")).exists():
            study.tell(trial.number, state=TrialState.FAIL)


def count_trials(study: optuna.Study, *states: TrialState) -> int:
    """Return how many trials are in one of these states, over all processes."""
    return len(study.get_trials(deepcopy=False, states=states))


def tabulate_trials(study: optuna.Study) -> pandas.DataFrame:
    """Return a row per finished trial: `trial` (its number), `ua`, `seconds`, `recipe` (it has the recipe's own
    settings), and a column per setting."""
    rows = [
        {
            "trial": trial.number,
            "ua": trial.value,
            "seconds": round(trial.duration.total_seconds(), 1),
            "recipe": "recipe" in trial.user_attrs,
            **trial.user_attrs["settings"],
        }
        for trial in study.get_trials(states=(COMPLETE,))
    ]
    return pandas.DataFrame(rows)
