"""Define the tasks of recognition: one module per task, with the same names in each module.

A task is an entry of `TASKS` and a module with the names below. *Outputs* are the names of the C outputs of a model;
*scores* ``(N, C)`` are the results of `pipeline` for N utterances, see `ser_hf.models.postprocessing`.

======================================  ============================================================================
PROBLEM_TYPE                            `config.problem_type` of the model; it selects the function of `pipeline`
METRICS                                 name -> `Metric`; the first one selects the best epoch
PERCENT                                 whether metrics are printed in percent
OPTIONS                                 options of `ser_hf.runs.task_options.OPTIONAL` that the task has
list_outputs(utterances)                the outputs of a model that is trained on these utterances
target_feature(outputs)                 type of the column `label` of the dataset
target_of(utterance, outputs)           label of the utterance; if None, the utterance is left out and counted
make_loss(train, training)              loss for the Trainer, given the training rows and arguments
compute_metrics(prediction)             `METRICS` by name for an `EvalPrediction`, all utterances weighted equally
tabulate(targets, scores, outputs)      columns of the task in predictions.csv, for N values of `target_of`
Scores, summarize(table, outputs)       scores of a table: a dataclass with `utterances`, `speakers`, `intervals`,
                                        `interval_unit`, `warning`, `per_speaker` and each of `METRICS`
draw_scores(scores, table, folder)      figures of the scores and their table, written to a folder that is created
make_statistic(table, outputs)          function from R arrays of row numbers of a table to {metric: (R,) values}
answer(scores)                          prediction as text, given the scores by output: tables, timeline and page
match_outputs(outputs, utterances)      the outputs with the names of a corpus, and the outputs that they share
restrict_scores(scores, names, shared)  the scores ``(N, S)`` of the shared outputs
calibrate, describe_calibration         see `ser_hf.tasks.temperature_scaling`; None if the task has no calibration
CARD                                    section of the model card -> Jinja template, see `ser_hf.publishing.card`
======================================  ============================================================================

This module imports neither torch nor a task, so that ``--help`` can list the tasks.
"""

import difflib
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

TASKS = {  # name -> module, imported when it is needed
    "categories": "ser_hf.tasks.categories",
    "votes": "ser_hf.tasks.votes",
    "dimensions": "ser_hf.tasks.dimensions",
}
CONFIG_KEY = "ser_hf_task"  # of config.json


class Metric(NamedTuple):
    """Describe a metric; higher is better and 1 is perfect.

    Attributes:
        title: Name of the metric.
        short: Short name, for the header of a table.
        lowest: Lowest possible value.
        hub: Name of the metric on the Hub; None if the Hub has none.
    """

    title: str
    short: str
    lowest: float = 0.0
    hub: str | None = None

    @property
    def label(self) -> str:
        """Name for the axis of a figure.

        Examples:
            >>> Metric("Unweighted average recall", "UA").label
            'unweighted average recall (UA)'
        """
        title = self.title[0].lower() + self.title[1:] if self.title[1:2].islower() else self.title
        return title if title.lower() == self.short.lower() else f"{title} ({self.short})"


def load_task(name: str) -> ModuleType:
    """Return the module of a task.

    Raises:
        ValueError: If the task does not exist; the message suggests the most similar name.

    Examples:
        >>> load_task("categories").PROBLEM_TYPE
        'single_label_classification'
    """
    check_task(name)
    return import_module(TASKS[name])


def check_task(name: str) -> None:
    """Raise ValueError if the task does not exist; the message suggests the most similar name."""
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"task: expected one of {list(TASKS)}, found '{name}'.{hint}")


def name_task(config: "PreTrainedConfig") -> str:
    """Return the task of a checkpoint: the task in its configuration, else the first task with its `problem_type`.

    If no task has this `problem_type`, the task is "categories".

    Raises:
        ValueError: If the configuration contains an unknown task.
    """
    if recorded := getattr(config, CONFIG_KEY, None):
        check_task(recorded)
        return recorded
    kind = config.problem_type or "single_label_classification"
    return next((name for name in TASKS if kind == load_task(name).PROBLEM_TYPE), "categories")
