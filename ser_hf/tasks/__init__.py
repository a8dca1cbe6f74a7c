"""What is recognised: one module for each task, with the same names in each.

A task is an entry of `TASKS` and a module with these names. *Outputs* are the names of a model's outputs, C of them;
*scores* ``(N, C)`` are what `pipeline` answers for N utterances, see `ser_hf.models.scores`.

======================================  ============================================================================
PROBLEM_TYPE                            `config.problem_type` of the model; `pipeline` chooses its function by it
METRICS                                 name -> `Metric`; the best epoch and the headline go by the first
PERCENT                                 whether metrics are printed in percent
OPTIONS                                 those of `ser_hf.runs.task_options.OPTIONAL` that the task has
list_outputs(utterances)                the outputs of a model of these utterances
target_feature(outputs)                 type of the column `label` of the dataset
target_of(utterance, outputs)           its value; None leaves the utterance out, which is counted
make_loss(train, training)              loss for the Trainer, from the training rows and arguments
compute_metrics(prediction)             `METRICS` by name for an `EvalPrediction`; utterances of equal weight
tabulate(targets, scores, outputs)      the task's columns of predictions.csv, for N values of `target_of`
Scores, summarize(table, outputs)       scores of a table: a dataclass with `utterances`, `speakers`, `intervals`,
                                        `interval_unit`, `warning`, `per_speaker` and each of `METRICS`
draw_scores(scores, folder)             figures of the scores in the folder, which is made
compare(first, second, outputs)         differences of two tables; only with the option "recommended_trim"
answer(scores)                          text for the scores by output: column `prediction`, timeline and page
match_outputs(outputs, utterances)      the outputs under the names of a corpus, and those that it can score
restrict_scores(scores, names, shared)  the scores ``(N, S)`` of the shared outputs
calibrate, describe_calibration         as in `ser_hf.tasks.calibration`; None if the task has no calibration
CARD                                    section of the model card -> Jinja template, see `ser_hf.publishing.card`
======================================  ============================================================================

This module imports neither torch nor any task, so that ``--help`` can name the tasks.
"""

import difflib
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

TASKS = {"categories": "ser_hf.tasks.categories"}  # name -> module, imported when it is needed
CONFIG_KEY = "ser_hf_task"  # of config.json


class Metric(NamedTuple):
    """Describe a metric; higher is better and 1 is perfect.

    Attributes:
        title: Name in words.
        short: Head of a column.
        lowest: Lowest possible value.
    """

    title: str
    short: str
    lowest: float = 0.0


def load_task(name: str) -> ModuleType:
    """Return the module of a task.

    Raises:
        ValueError: If there is no such task; the nearest name is suggested.

    Examples:
        >>> load_task("categories").PROBLEM_TYPE
        'single_label_classification'
    """
    check_task(name)
    return import_module(TASKS[name])


def check_task(name: str) -> None:
    """Raise ValueError unless a task has this name; the nearest name is suggested."""
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"task: expected one of {list(TASKS)}, found '{name}'.{hint}")


def name_task(config: "PreTrainedConfig") -> str:
    """Return the task of a checkpoint: the one in its configuration, else the first with its `problem_type`.

    A checkpoint with a `problem_type` of no task is used like one of "categories".

    Raises:
        ValueError: If the configuration names an unknown task.
    """
    if recorded := getattr(config, CONFIG_KEY, None):
        check_task(recorded)
        return recorded
    kind = config.problem_type or "single_label_classification"
    return next((name for name in TASKS if kind == load_task(name).PROBLEM_TYPE), "categories")
