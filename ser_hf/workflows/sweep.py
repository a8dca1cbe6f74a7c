"""Search the best settings of a recipe with Optuna on the validation speakers, and write them as a new recipe."""

import dataclasses
import logging
import time
import uuid
from pathlib import Path

import optuna
import pandas
from datasets import DatasetDict
from filelock import FileLock
from transformers import PreTrainedModel, set_seed
from transformers.trainer_utils import SaveStrategy

from ser_hf.cache import explain_full_disk, whole_file
from ser_hf.escaping import cell
from ser_hf.evaluation.figures.sweep_trials import plot_sweep
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.model_arguments import ModelArguments
from ser_hf.runs.recipe import resolve_recipe, write_recipe
from ser_hf.runs.speech_data import load_speech
from ser_hf.runs.task_options import complete_arguments
from ser_hf.runs.training_arguments import SerTrainingArguments
from ser_hf.training import components
from ser_hf.training.search import (
    COMPLETE,
    LOCK,
    RUNNING,
    apply_settings,
    connect,
    count_trials,
    fail_abandoned,
    open_study,
    search_space,
    suggest,
    tabulate_trials,
)
from ser_hf.training.trainer import SerTrainer
from ser_hf.training.trainer_state import best_evaluation
from ser_hf.workflows.sweep_arguments import SweepArguments

SHOWN = 5  # best trials in the printed table
logger = logging.getLogger(__name__)
PAUSE = 2  # seconds between checks whether the trials of other processes are finished


def sweep(
    data: DataArguments, model_args: ModelArguments, training: SerTrainingArguments, search: SweepArguments
) -> pandas.DataFrame:
    """Run the requested number of trials, and write the best settings to recipe.yaml in `training.output_dir`.

    Args:
        data: Corpora, labels, split and augmentation.
        model_args: Encoder and its trained parts.
        training: Training arguments.
        search: Number of trials and settings to search.

    Returns:
        One row per finished trial, see `tabulate_trials`.

    Raises:
        ValueError: If an argument is not as expected.
        OSError: If a file is missing, or the output folder contains another search.
    """
    if data.task != "categories":
        raise ValueError(f"task: a search compares the UA of categories only, found '{data.task}'. Use finetune.")
    model_args, training = complete_arguments(data, [model_args, training])
    arguments = [data, model_args, training]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    _require_one_gpu(training)
    components.prepare_process(training)
    components.check_setup(data, model_args, training)
    space = search_space(arguments, search.search)
    with explain_full_disk(training.output_dir):
        study = open_study(training.output_dir, arguments, space)
        if count_trials(study, COMPLETE) < search.trials:
            dataset = load_speech(data, raw=("validation", "test")).dataset  # validated as in fine-tuning
            parts = DatasetDict({part: dataset[part] for part in ("train", "validation")})
            run_trials(study, search.trials, arguments, space, parts)
        return write_sweep(study, arguments)


def _require_one_gpu(training: SerTrainingArguments) -> None:
    """Raise ValueError if a trial would use several GPUs; one trial per GPU is more efficient."""
    if training.world_size > 1 or training.n_gpu > 1:
        raise ValueError(
            f"Expected one process with one GPU, found {training.world_size} with {training.n_gpu}. Start "
            "CUDA_VISIBLE_DEVICES=0 ser-hf sweep … once for each GPU: they share the search."
        )


def run_trials(study: optuna.Study, trials: int, arguments: list, space: dict, dataset: DatasetDict) -> None:
    """Run trials until `trials` are finished, including the trials of other processes."""
    folder = Path(arguments[2].output_dir)
    lock, own_lock = FileLock(folder / LOCK), FileLock(folder / f"process_{uuid.uuid4().hex}.lock")
    trainer = make_trials_trainer(arguments, dataset)

    def begin(trial: optuna.Trial) -> PreTrainedModel:
        trial.set_user_attr("lock", Path(own_lock.lock_file).name)
        trial.set_user_attr("settings", suggest(trial, space))
        lock.release()
        return start_trial(trainer, dataset, apply_settings(arguments, suggest(trial, space)))

    trainer.model_init = begin
    with lock:
        own_lock.acquire()
    while count_trials(study, COMPLETE) < trials:
        with lock:  # released in `begin`, so that the processes do not start too many trials
            fail_abandoned(study, folder)
            free = count_trials(study, COMPLETE, RUNNING) < trials
            if free:
                run_trial(trainer, study)
        if free:
            table = write_sweep(study, arguments)
            logger.info(f"{len(table)} of {trials} trials finished; best validation UA {table['ua'].max():.3f}.")
        else:
            time.sleep(PAUSE)  # trials of other processes are running
    own_lock.release()
    Path(own_lock.lock_file).unlink()


def make_trials_trainer(arguments: list, dataset: DatasetDict) -> SerTrainer:
    """Return the Trainer for all trials of this process; each trial replaces its model."""
    data, model_args, training = arguments
    emotions = dataset["train"].features["label"].names
    model, feature_extractor = components.make_model(data.task, emotions, model_args, training, dataset)
    training = dataclasses.replace(training, push_to_hub=False, hub_token=None)
    training.save_strategy, training.load_best_model_at_end = SaveStrategy.NO, False  # no weights are kept
    parts = {"data": data, "model_args": model_args, "training": training}
    return components.make_trainer(model, feature_extractor, dataset, **parts)


def start_trial(trainer: SerTrainer, dataset: DatasetDict, arguments: list) -> PreTrainedModel:
    """Return the initial model of a trial, with the random seeds of fine-tuning, which can reproduce the trial."""
    data, model_args, training = arguments
    set_seed(training.seed)
    emotions = dataset["train"].features["label"].names
    model, feature_extractor = components.make_model(data.task, emotions, model_args, training, dataset)
    parts = model.to(training.device), dataset["train"], feature_extractor
    model = components.start_head(model_args, *parts, data=data, training=training)
    trainer.data_collator.augment = components.make_augmentation(data)
    set_seed(training.seed)  # as in the Trainer of fine-tuning
    return model


def run_trial(trainer: SerTrainer, study: optuna.Study) -> None:
    """Run one trial without pruning: epochs with different batch sizes and schedules are not comparable."""
    trainer.hyperparameter_search(
        hp_space=lambda trial: {
            name: value for name, value in trial.user_attrs["settings"].items() if hasattr(trainer.args, name)
        },
        compute_objective=lambda _: best_evaluation(trainer)["eval_ua"],
        n_trials=1,
        direction="maximize",
        backend="optuna",
        sampler=optuna.samplers.TPESampler(seed=trainer.args.seed + count_trials(study, COMPLETE, RUNNING)),
        pruner=optuna.pruners.NopPruner(),
        **connect(trainer.args.output_dir),
    )


def write_sweep(study: optuna.Study, arguments: list) -> pandas.DataFrame:
    """Write the best recipe, the table and the figure into the output folder, and return the table."""
    folder = Path(arguments[2].output_dir)
    with FileLock(folder / LOCK):
        table = tabulate_trials(study)
        with whole_file(folder / "trials.csv") as partial:
            table.map(cell).to_csv(partial, index=False)
        plot_sweep(table, folder / "sweep.png")
        best = int(table["ua"].idxmax())
        settings = study.get_trials(states=(COMPLETE,))[best].user_attrs["settings"]
        recipe = resolve_recipe(*apply_settings(arguments, settings))
        recipe["model_name_or_path"] = arguments[1].model_name_or_path  # with its path: never published
        comment = (
            f"Trial {best}, validation UA {table['ua'][best]:.3f}, the best of {len(table)}. Rerun it with:\n"
            "ser-hf train recipe.yaml --data_root FOLDER --output_dir FOLDER"
        )
        write_recipe(folder, recipe, comment=comment)
    return table


def describe_sweep(table: pandas.DataFrame, folder: str) -> str:
    """Return the final message: the best trials, the trial of the recipe itself, and the next command."""
    ranked = table.sort_values("ua", ascending=False, kind="stable")
    shown = pandas.concat([ranked.head(SHOWN), ranked[SHOWN:].query("recipe")]).drop(columns="seconds")
    return f"""
{shown.to_string(index=False, na_rep="none", float_format="{:.4g}".format)}

The best of {len(table)} validation UAs is optimistic. Fine-tune with its settings, and score once on the test speakers:

  ser-hf train {folder}/recipe.yaml --data_root FOLDER --output_dir FOLDER
"""
