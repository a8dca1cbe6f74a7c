"""Create the rows of `predictions.csv` from the logits of a dataset or from the scores of utterances.

Shapes: N rows of a dataset, U utterances, C outputs.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas
from datasets import Dataset

from ser_hf.corpora import Utterance
from ser_hf.corpora.spelling import spell
from ser_hf.evaluation.predictions import COLUMNS, average_windows
from ser_hf.models.postprocessing import to_scores


def tabulate_dataset(
    dataset: Dataset, logits: np.ndarray, task: ModuleType, outputs: Sequence[str]
) -> pandas.DataFrame:
    """Return the table of one part of a split, with one row per utterance, averaged over its windows.

    Args:
        dataset: Part of a result of `build_dataset`, with N rows.
        logits: ``(N, C)`` in the order of the dataset.
        task: Module of the task, from `load_task`.
        outputs: Names of the C outputs.
    """
    scores = average_windows(to_scores(logits, task.PROBLEM_TYPE), dataset["utterance"])
    rows = dataset.select_columns([*COLUMNS, "utterance", "label"]).to_pandas()
    rows = rows.drop_duplicates("utterance", ignore_index=True)
    return rows[COLUMNS].join(task.tabulate(rows["label"], scores, outputs))


def tabulate_utterances(
    utterances: Sequence[Utterance],
    scores: np.ndarray,
    task: ModuleType,
    outputs: Sequence[str],
    folders: dict[str, Path],
) -> pandas.DataFrame:
    """Return the table of test utterances.

    Args:
        utterances: U utterances that have a target.
        scores: ``(U, C)``.
        task: Module of the task, from `load_task`.
        outputs: Names of the C outputs.
        folders: Folder of each corpus, to which paths are relative.
    """
    paths = [spell(Path(os.path.relpath(row.path, folders[row.corpus])).as_posix()) for row in utterances]
    known = [{name: getattr(row, name) for name in COLUMNS} for row in utterances]
    rows = pandas.DataFrame([row | {"path": path, "split": "test"} for row, path in zip(known, paths, strict=True)])
    targets = [task.target_of(row, outputs) for row in utterances]
    return rows.join(task.tabulate(targets, scores, outputs))
