"""What is recorded of a training: the model, the time, the epoch that was kept, the audio that the model takes."""

import math

from datasets import DatasetDict
from transformers import PreTrainedConfig, PreTrainedModel, TrainerState

from ser_hf.models.backbone import context_of
from ser_hf.runs.description import describe_machine
from ser_hf.runs.results import ContextRecord, TrainingRecord


def describe_training(
    model: PreTrainedModel, state: TrainerState, *, seconds: float, processes: int, resumed: bool, refit: bool
) -> TrainingRecord:
    """Return what was trained, for how long, on what, and which epoch was kept.

    Args:
        model: The trained model.
        state: The Trainer's.
        seconds: That this launch's training took, with the head's start.
        processes: How many processes shared it.
        resumed: Whether this launch went on from a checkpoint, so that its time is not the whole.
        refit: Whether the weights are those of a second training, with the validation speakers.
    """
    return TrainingRecord(
        architecture=type(model).__name__,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        epochs=state.num_train_epochs,
        epochs_run=state.epoch or 0,
        best_epoch=best_epoch(state),
        refit=refit,
        steps=state.global_step,
        seconds=seconds,
        resumed=resumed,
        processes=processes,
        **describe_machine(),
    )


def best_epoch(state: TrainerState) -> float:
    """Return the epoch whose weights were best on the validation speakers; without validation, the last."""
    best = [
        log["epoch"] for log in state.log_history if log.get("step") == state.best_global_step and "eval_loss" in log
    ]
    return best[0] if best else state.epoch or 0


def describe_context(config: PreTrainedConfig, dataset: DatasetDict) -> ContextRecord:
    """Return the seconds of audio that a model takes, None for any, and how many scored utterances are longer.

    Args:
        config: Of the model.
        dataset: With "validation" and "test", whose rows are whole utterances.
    """
    seconds = context_of(config)
    longer = {part: sum(row > seconds for row in dataset[part]["duration"]) for part in ("validation", "test")}
    return ContextRecord(seconds if math.isfinite(seconds) else None, longer)
