"""Options that not every task has: refused where the task lacks them, and their defaults where it has them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from ser_hf.runs.data_arguments import DataArguments
from ser_hf.tasks import load_task

# Option -> the value that stands for its absence. A task names in OPTIONS those that it has.
OPTIONAL = {
    "class_weights": "none",
    "head_init": "random",
    "label_smoothing_factor": 0.0,
    "mixup": 0.0,
    "recommended_trim": "none",
    "target": "emotion",
}


def complete_arguments(data: DataArguments, arguments: Sequence[Any]) -> list[Any]:
    """Return the other arguments of a recipe with the defaults of its task, after a check that it has all options.

    Args:
        data: Names the task.
        arguments: Dataclasses with the other settings, of model and training or of the probe.

    Raises:
        ValueError: If an option is set that the task lacks, or the task has no such metric.
    """
    task = load_task(data.task)
    for part in (data, *arguments):
        for name in OPTIONAL.keys() - set(task.OPTIONS):
            if getattr(part, name, None) not in (None, OPTIONAL[name]):
                raise ValueError(f"{name}: the task '{data.task}' has no such option. Leave it out.")
    return [_fill_option(part, task) if hasattr(part, "metric_for_best_model") else part for part in arguments]


def _fill_option(training: Any, task: Any) -> Any:
    """Return the training arguments with metric and class weights, where they are None."""
    metric = training.metric_for_best_model or next(iter(task.METRICS))
    # A misspelt name would switch early stopping off in silence.
    if metric.removeprefix("eval_") not in (*task.METRICS, "loss"):
        raise ValueError(f"metric_for_best_model: expected one of {[*task.METRICS, 'loss']}, found '{metric}'.")
    weights = training.class_weights or ("balanced" if "class_weights" in task.OPTIONS else "none")
    return dataclasses.replace(training, metric_for_best_model=metric, class_weights=weights)
