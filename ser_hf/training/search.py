"""Search hyperparameters of a recipe with an Optuna study that several processes share.

The study is a SQLite file in the output folder. Each process locks a file in the same folder. The operating system
releases the lock when the process ends for any reason, so trials of killed processes can be detected.
"""

import dataclasses
import json
from contextlib import suppress
from pathlib import Path

import optuna
import pandas
from filelock import FileLock, Timeout
from optuna.trial import TrialState

from ser_hf.cache import whole_file
from ser_hf.runs.recipe import list_differences, resolve_recipe

DATABASE, LOCK, STUDY = "sweep.db", "sweep.lock", "sweep"
COMPLETE, RUNNING, WAITING = TrialState.COMPLETE, TrialState.RUNNING, TrialState.WAITING


def search_space(arguments: list, names: list[str]) -> dict[str, list | float]:
    """Return the search space by recipe key: a list of choices, or a number x for the range x / 10 to 10 x.

    Args:
        arguments: Data, model and training arguments. The first choice, or the number, is the value of this recipe.
        names: Keys to search; an empty list for all.

    Raises:
        ValueError: If a key cannot be searched with this recipe.
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
        del space["head_init"]  # a probe of random weights is useless
    if training.batch_seconds is not None:
        del space["per_device_train_batch_size"]
    if unknown := sorted(set(names) - set(space)):
        raise ValueError(f"search: expected some of {list(space)}, found {unknown}.")
    space = {name: space[name] for name in names or space}
    return {name: list(dict.fromkeys(domain)) if isinstance(domain, list) else domain for name, domain in space.items()}


def suggest(trial: optuna.trial.BaseTrial, space: dict[str, list | float]) -> dict:
    """Draw the settings of a trial, by recipe key.

    Args:
        trial: Trial of the study.
        space: Search space from `search_space`.
    """
    return {
        name: trial.suggest_categorical(name, domain)
        if isinstance(domain, list)
        else float(f"{trial.suggest_float(name, domain / 10, domain * 10, log=True):.4g}")  # readable
        for name, domain in space.items()
    }


def apply_settings(arguments: list, settings: dict) -> list:
    """Return the data, model and training arguments with some settings replaced.

    Args:
        arguments: Data, model and training arguments.
        settings: New values by recipe key.
    """
    return [
        dataclasses.replace(part, **{name: value for name, value in settings.items() if hasattr(part, name)})
        for part in arguments
    ]


def connect(folder: str | Path) -> dict:
    """Return the arguments of `optuna.create_study` for the study in an output folder."""
    storage = optuna.storages.RDBStorage(
        f"sqlite:///{Path(folder, DATABASE).resolve()}",
        engine_kwargs={"connect_args": {"timeout": 60}},  # seconds until a write fails
    )
    return {"storage": storage, "study_name": STUDY, "load_if_exists": True}


def _create_database(path: Path) -> None:
    """Write the database with an empty study; it appears with all of its tables or not at all."""
    with whole_file(path) as partial:
        storage = optuna.storages.RDBStorage(f"sqlite:///{partial.resolve()}")
        optuna.create_study(direction="maximize", storage=storage, study_name=STUDY)
        storage.remove_session()
        storage.engine.dispose()


def open_study(folder: str | Path, arguments: list, space: dict[str, list | float]) -> optuna.Study:
    """Open the study of an output folder, or create it; the first trial has the settings of the recipe.

    Args:
        folder: Output folder of the search.
        arguments: Data, model and training arguments of the recipe.
        space: Search space from `search_space`.

    Raises:
        FileExistsError: If the folder contains a search of another recipe, or other files.
    """
    folder = Path(folder)
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if names and not names & {DATABASE, LOCK}:
        raise FileExistsError(f"'{folder}' is not empty and contains no search. Pass a new --output_dir.")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / LOCK):
        if not (folder / DATABASE).exists():
            _create_database(folder / DATABASE)
        study = optuna.create_study(direction="maximize", **connect(folder))
        _check_recipe(study, folder, resolve_recipe(*arguments) | {"search": list(space)})
        fail_abandoned(study, folder)
        started = study.get_trials(states=(COMPLETE, RUNNING, WAITING))
        if not any("recipe" in trial.user_attrs for trial in started):
            first = {name: domain[0] if isinstance(domain, list) else domain for name, domain in space.items()}
            study.enqueue_trial(first, user_attrs={"recipe": True})
    return study


def _check_recipe(study: optuna.Study, folder: Path, recipe: dict) -> None:
    recipe = json.loads(json.dumps(recipe))  # with the types that the database returns
    stored = study.user_attrs.get("recipe", recipe)
    if differences := list_differences(stored, recipe):
        found = "; ".join(differences)
        raise FileExistsError(f"'{folder}' contains a search of another recipe ({found}). Pass another --output_dir.")
    study.set_user_attr("recipe", recipe)


def fail_abandoned(study: optuna.Study, folder: str | Path) -> None:
    """Mark running trials as failed if the lock of their process is free, which means that the process has ended.

    The caller must hold the lock of the folder.

    Args:
        study: Study of the folder.
        folder: Output folder of the search.
    """
    for path in Path(folder).glob("process_*.lock"):
        with suppress(Timeout), FileLock(path, timeout=0):
            path.unlink()
    for trial in study.get_trials(states=(RUNNING,)):
        if not Path(folder, trial.user_attrs.get("lock", "missing.lock")).exists():
            study.tell(trial.number, state=TrialState.FAIL)


def count_trials(study: optuna.Study, *states: TrialState) -> int:
    """Return the number of trials of all processes that are in one of these states."""
    return len(study.get_trials(deepcopy=False, states=states))


def tabulate_trials(study: optuna.Study) -> pandas.DataFrame:
    """Return a row per finished trial.

    Returns:
        Columns `trial` (number among the finished trials), `ua` (0 to 1), `seconds`, `recipe` (whether it has
        the settings of the recipe), and one per setting.
    """
    rows = [
        {
            "trial": number,
            "ua": trial.value,
            "seconds": round(trial.duration.total_seconds(), 1),  # type: ignore[union-attr]
            "recipe": "recipe" in trial.user_attrs,
            **trial.user_attrs["settings"],
        }
        for number, trial in enumerate(study.get_trials(states=(COMPLETE,)))
    ]
    return pandas.DataFrame(rows)
