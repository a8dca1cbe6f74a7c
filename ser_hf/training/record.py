"""Describe a training and the context of its model for the results of a run."""

import math

from datasets import DatasetDict
from transformers import PreTrainedConfig

from ser_hf.models.context import context_of
from ser_hf.models.location import commit_of
from ser_hf.runs.description import describe_machine
from ser_hf.runs.result_records import ContextRecord, TrainingRecord
from ser_hf.training.trainer import SerTrainer
from ser_hf.training.trainer_state import best_evaluation


def describe_training(trainer: SerTrainer, *, seconds: float, resumed: bool) -> TrainingRecord:
    """Return the record of a training: model, duration, hardware and best epoch.

    Args:
        trainer: The trainer after the training.
        seconds: Duration of this launch, including the initialisation of the head and the refit.
        resumed: Whether this launch resumed from a checkpoint, so that `seconds` is not the whole duration.
    """
    state = trainer.state
    return TrainingRecord(
        architecture=type(trainer.model).__name__,
        parameters=sum(parameter.numel() for parameter in trainer.model.parameters()),
        epochs=state.num_train_epochs,
        epochs_run=state.epoch or 0,
        best_epoch=best_evaluation(trainer)["epoch"],
        refit=trainer.args.refit,
        steps=state.global_step,
        seconds=seconds,
        resumed=resumed,
        processes=trainer.args.world_size,
        base_commit=commit_of(trainer.model.config),
        **describe_machine(trainer.args.device.type),
    )


def describe_context(config: PreTrainedConfig, dataset: DatasetDict) -> ContextRecord:
    """Return the context of a model in seconds (None: unlimited), and the number of longer utterances in each part.

    Args:
        config: Configuration of the model.
        dataset: DatasetDict with "validation" and "test", whose rows are whole utterances.
    """
    seconds = context_of(config)
    longer = {part: sum(row > seconds for row in dataset[part]["duration"]) for part in ("validation", "test")}
    return ContextRecord(seconds if math.isfinite(seconds) else None, longer)
