"""Check options that not every task has, and set their defaults."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from ser_hf.heads.probe_arguments import ProbeArguments
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.tasks import load_task

# Option -> value if it is not used. The attribute OPTIONS of a task lists the options that the task has.
OPTIONAL = {
    "auxiliary_task": "none",
    "auxiliary_weight": 1.0,
    "balance_corpora": False,
    "class_weights": "none",
    "dimensions": ["arousal", "valence", "dominance"],
    "focal_gamma": 2.0,
    "head_copies": 0,
    "head_init": "random",
    "label_smoothing_factor": 0.0,
    "logit_adjustment": 0.0,
    "loss": "cross_entropy",
    "mixup": 0.0,
    "no_consensus": "keep",
    "rating_scale": [],
    "recommended_trim": "none",
    "regression_loss": "ccc",
    "sampling": "all",
    "target": "emotion",
    "voice_head": False,
    "vote_dropout": 0.0,
    "vote_smoothing": 0.0,
}


def list_options(data: DataArguments) -> set[str]:
    """Return the options of `OPTIONAL` that the task of a recipe has, together with its auxiliary task."""
    auxiliary = {"auxiliary_weight", "dimensions", "rating_scale"} if data.auxiliary_task != "none" else set()
    return {*load_task(data.task).OPTIONS, *auxiliary}


def complete_arguments(data: DataArguments, arguments: Sequence[Any]) -> list[Any]:
    """Check that the task of a recipe has all options that are set, and return the arguments with its defaults.

    Args:
        data: Arguments with the name of the task.
        arguments: Dataclasses with the other settings: model and training, or probe.

    Raises:
        ValueError: If an option or a metric is set that the task does not have.
    """
    for part in (data, *arguments):
        for name in sorted(OPTIONAL.keys() - list_options(data)):
            if getattr(part, name, None) not in (None, OPTIONAL[name]):
                raise ValueError(f"{name}: the task '{data.task}' has no such option. Leave it out.")
    return [_fill_options(part, data) for part in arguments]


def _fill_options(part: Any, data: DataArguments) -> Any:
    """Return the arguments; if metric, class weights or heads are None, the defaults of the task are used."""
    if isinstance(part, ProbeArguments):
        return part.for_task(data.task)
    if not hasattr(part, "metric_for_best_model"):
        return part
    task, training = load_task(data.task), part
    # Transformers accepts a name with its prefix too. A misspelt name would disable early stopping without an error.
    metric = (training.metric_for_best_model or next(iter(task.METRICS))).removeprefix("eval_")
    if metric not in (*task.METRICS, "loss"):
        raise ValueError(f"metric_for_best_model: expected one of {[*task.METRICS, 'loss']}, found '{metric}'.")
    balanced = data.balance_corpora or training.sampling != "all" or training.logit_adjustment > 0
    weights = training.class_weights or ("none" if balanced or "class_weights" not in task.OPTIONS else "balanced")
    return dataclasses.replace(training, metric_for_best_model=metric, class_weights=weights)
