"""Compare the predictions of runs on the same test utterances."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas

from ser_hf.escaping import plain_cell
from ser_hf.evaluation import read_predictions
from ser_hf.evaluation.paired import KEY, Difference, align, group_speakers, paired_differences
from ser_hf.runs.file_names import PREDICTIONS, RESULTS
from ser_hf.runs.result_records import Results
from ser_hf.runs.results import read_results
from ser_hf.tasks import load_task


@dataclass
class Comparison:
    """Hold the comparison of a run with another one.

    Attributes:
        name: Name of the second run.
        utterances: Number of test utterances of both.
        left_out: Number of test utterances of one of them only.
        speakers: Number of speakers of the compared utterances.
        differences: {metric: second minus first}.
    """

    name: str
    utterances: int
    left_out: int
    speakers: int
    differences: dict[str, Difference]


def read_run(folder: str | Path) -> tuple[Results, pandas.DataFrame | None]:
    """Return the results of a finished run, and its test predictions; None if they are not in the folder.

    The runs of cross_validate.py have a table of predictions in each fold: they are joined.

    Raises:
        FileNotFoundError: If the folder has no results.
        ValueError: If a file is damaged.
    """
    folder = Path(folder)
    results = read_results(folder)
    if results is None:
        raise FileNotFoundError(f"Expected {RESULTS} of a finished run in '{folder}', found none.")
    paths = [folder / PREDICTIONS] if (folder / PREDICTIONS).exists() else sorted(folder.glob(f"*/{PREDICTIONS}"))
    tables = [read_predictions(path).query("split == 'test'") for path in paths]
    return results, pandas.concat(tables, ignore_index=True) if tables else None


def read_answers(path: str | Path, like: pandas.DataFrame) -> pandas.DataFrame:
    """Return a table of anyone's predictions, with speakers and targets of a run.

    Args:
        path: CSV file with the column `path`, the columns of the answers (`prediction`, and for ratings and votes
            `score_<output>`), and if needed `corpus`, `start` and `end`, as in predictions.csv.
        like: Predictions of the run with which it is compared.

    Raises:
        ValueError: If a column is missing, or no utterance is one of the run.
    """
    kinds = {"path": str, "corpus": str, "prediction": str, "start": float, "end": float}
    answers = pandas.read_csv(path, dtype=kinds, keep_default_na=False, na_values={"start": "", "end": ""})
    wanted = [name for name in like.columns if name == "prediction" or name.startswith("score_")]
    scored = any(name.startswith("target_") for name in like.columns)  # votes and ratings have a target per output
    needed = [name for name in wanted if name.startswith("score_") == scored]
    if missing := [name for name in ["path", *needed] if name not in answers]:
        raise ValueError(f"'{path}': expected the columns path, {', '.join(needed)}; {', '.join(missing)} not found.")
    keys = [name for name in KEY if name in answers]
    answers["path"] = answers["path"].map(plain_cell)
    if answers.duplicated(keys).any():
        twice = answers[answers.duplicated(keys)].iloc[0]["path"]
        raise ValueError(f"'{path}': expected each utterance once, found '{twice}' twice.")
    known = like.drop(columns=wanted)
    table = known.merge(answers[[*keys, *(name for name in wanted if name in answers)]], on=keys)
    if table.empty:
        raise ValueError(
            f"'{path}': expected paths such as '{like['path'].iloc[0]}', found '{answers['path'].iloc[0]}'."
        )
    outputs = [name.removeprefix("score_") for name in like.columns if name.startswith("score_")]
    if not scored and (unknown := sorted(set(table["prediction"]) - set(outputs))):
        raise ValueError(f"'{path}': expected predictions among {outputs}, found {unknown[:5]}.")
    return table


def compare_predictions(
    results: Results, first: pandas.DataFrame, others: Sequence[tuple[str, pandas.DataFrame]]
) -> list[Comparison]:
    """Return the comparison of each other table with the first one, on the utterances that both have.

    Args:
        results: Results of the first run, which name its task and outputs.
        first: Its test predictions.
        others: Name and test predictions of each other run.

    Raises:
        ValueError: If two tables share no utterance, or their targets differ.
    """
    return [_compare_with(results, first, name, second) for name, second in others]


def _compare_with(results: Results, first: pandas.DataFrame, name: str, second: pandas.DataFrame) -> Comparison:
    one, other = align(first, second)
    targets = [column for column in one.columns if column.startswith("target")]
    if not one[targets].equals(other.reindex(columns=targets)):
        raise ValueError(
            f"'{name}': expected the targets of the first run for the same utterances, found others. Compare runs with "
            "the same task and label map."
        )
    task = load_task(results.task)
    differences = paired_differences(one, other, lambda table: task.make_statistic(table, results.outputs))
    left_out = len(first) + len(second) - 2 * len(one)
    return Comparison(name, len(one), left_out, len(group_speakers(one)), differences)
