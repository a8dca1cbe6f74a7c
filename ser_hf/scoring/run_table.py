"""Set finished runs side by side: tables of their scores and differences, and a figure."""

import os
import string
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import ModuleType

import pandas

from ser_hf.escaping import markdown_table
from ser_hf.evaluation import figures
from ser_hf.evaluation.figures.run_comparison import RunScore
from ser_hf.evaluation.paired import KEY, Difference, has_one_utterance_per_file
from ser_hf.runs.result_records import Results
from ser_hf.scoring.comparison import compare_predictions, read_answers, read_run
from ser_hf.scoring.run_titles import title_run
from ser_hf.tasks import load_task


@dataclass
class FinishedRun:
    """Hold a finished run that is compared with others.

    Attributes:
        folder: Its output folder.
        name: End of its path, which differs from that of the other runs.
        results: Its results.
        predictions: Its test predictions; None if they are not in the folder.
        letter: Equal for runs with the same test set; empty if all have the same.
    """

    folder: str
    name: str
    results: Results
    predictions: pandas.DataFrame | None
    letter: str = ""


def read_runs(folders: Sequence[str], tables: Sequence[str] = ()) -> list[FinishedRun]:
    """Return finished runs of one task.

    Args:
        folders: Output folders of recipes or of ser-hf evaluate.
        tables: Files of other predictions, from which the names of the runs differ too.

    Raises:
        FileNotFoundError: If a folder has no results.
        ValueError: If a file is damaged, or the runs have different tasks.
    """
    names = name_paths([*folders, *tables])
    runs = [FinishedRun(folder, name, *read_run(folder)) for folder, name in zip(folders, names, strict=False)]
    if len(tasks := {run.results.task for run in runs}) > 1:
        raise ValueError(f"Expected runs of one task, found {', '.join(sorted(tasks))}. Compare each task by itself.")
    mark_test_sets(runs)
    return runs


def name_paths(paths: Sequence[str]) -> list[str]:
    """Return the shortest end of each path that no other path has.

    Examples:
        >>> name_paths(["runs/a/fold_1", "runs/b/fold_1", "runs/c"])
        ['a/fold_1', 'b/fold_1', 'c']
    """
    split = [Path(os.path.abspath(path)).parts for path in paths]
    lengths = (
        next(n for n in count(1) if all(other == own or other[-n:] != own[-n:] for other in split)) for own in split
    )
    return [str(Path(*own[-length:])) for own, length in zip(split, lengths, strict=True)]


def mark_test_sets(runs: Sequence[FinishedRun]) -> None:
    """Give the runs letters if their test sets or folds differ.

    Without predictions of every run, only the numbers of test utterances by speaker and emotion are compared.
    """
    read = all(run.predictions is not None for run in runs)
    keys = [str((_list_utterances(run.predictions) if read else None, _count(run.results))) for run in runs]
    letters = dict(zip(dict.fromkeys(keys), string.ascii_uppercase, strict=False))
    if len(letters) > 1:
        for run, key in zip(runs, keys, strict=True):
            run.letter = letters[key]


def _list_utterances(predictions: pandas.DataFrame | None) -> list:
    """Return the test utterances and their targets, sorted."""
    assert predictions is not None
    key = KEY[:2] if has_one_utterance_per_file(predictions) else KEY  # runs may trim the ends of files
    columns = key + [name for name in predictions if name.startswith("target")]
    return sorted(predictions[columns].astype(str).itertuples(index=False, name=None))


def _count(results: Results) -> list:
    test = results.test
    return [
        sorted((name, row["utterances"]) for name, row in test.per_speaker.items()),
        {emotion: row.get("support") for emotion, row in getattr(test, "per_emotion", {}).items()},
        [fold.speakers for fold in results.folds or []],
    ]


def tabulate_runs(runs: Sequence[FinishedRun]) -> str:
    """Return the scores of the runs as a table in Markdown, and a note if their test sets differ."""
    task = load_task(runs[0].results.task)
    titles = [metric.short for metric in task.METRICS.values()]
    lines = [["run", *titles, "speakers / utterances", "time", "hardware, date"]]
    for run in runs:
        test, work = run.results.test, run.results.training or run.results.evaluation
        scores = [_write_interval(getattr(test, name), test.intervals[name], task) for name in task.METRICS]
        name = f"`{run.name}`" + f" ({run.letter})" * bool(run.letter)
        size, time = f"{test.speakers} / {test.utterances}", f"{work.seconds / 60:.0f} min"  # type: ignore[union-attr]
        lines.append([name, *scores, size, time, f"{work.hardware}, {work.date}"])  # type: ignore[union-attr]
    note = "\n\nDifferent letters mark different test utterances or folds: these scores are not comparable."
    return markdown_table(lines) + note * bool(runs[0].letter)


def tabulate_differences(runs: Sequence[FinishedRun], tables: Sequence[str] = ()) -> str:
    """Return the differences of the other runs, and of tables of predictions, to the first run.

    Raises:
        ValueError: If a table has not the columns that it needs, or shares no utterance with the first run.
    """
    if missing := [run.name for run in runs if run.predictions is None]:
        return f"No differences: predictions.csv is not in {', '.join(missing)}."
    first, *others = runs
    assert first.predictions is not None
    names = name_paths([*(run.folder for run in runs), *tables])[len(runs) :]
    answers = [read_answers(path, first.predictions) for path in tables]
    found = [(run.name, run.predictions) for run in others] + list(zip(names, answers, strict=True))
    compared = compare_predictions(first.results, first.predictions, found)
    task, metrics = load_task(first.results.task), list(compared[0].differences)
    shown = {name: metric.short for name, metric in task.METRICS.items()}
    heads = [head for name in metrics for head in (shown.get(name, name), "p")]  # others: those of one dimension
    lines = [[f"minus `{first.name}`", *heads, "speakers higher / lower"]]
    for one in compared:
        cells = [cell for name in metrics for cell in _describe_difference(one.differences[name], task)]
        lead = one.differences[metrics[0]]
        lines.append([f"`{one.name}`", *cells, f"{lead.higher} / {lead.lower} of {one.speakers}"])
    notes = [
        f"`{one.name}`: {one.utterances} test utterances in both, {one.left_out} in one of them only (left out)."
        for one in compared
    ]
    return "\n".join([markdown_table(lines), *notes])


def draw_runs(runs: Sequence[FinishedRun], path: str, titles: Sequence[str] = ()) -> None:
    """Draw the first score of each run with its interval.

    Args:
        runs: Finished runs of one task.
        path: PNG file to write.
        titles: Titles of the runs; if empty, they are made from the recipes.
    """
    titles, task = titles or [title_run(run.folder, run.results) for run in runs], load_task(runs[0].results.task)
    name, metric = next(iter(task.METRICS.items()))
    rows = []
    for title, run in zip(titles, runs, strict=True):
        test, splits = run.results.test, run.results.folds or [run.results.split]  # type: ignore[list-item]
        own = f" ({run.name.replace('_', ' ')})" * (list(titles).count(title) > 1)  # runs of one kind
        score, low, high = _scale([getattr(test, name), *test.intervals[name]], task)
        independent = all(split.speaker_independent for split in splits)
        rows.append(RunScore(title + own + f" ({run.letter})" * bool(run.letter), score, (low, high), independent))
    figures.plot_runs(rows, metric.label + " in %" * task.PERCENT, path)


def _scale(values: Sequence[float], task: ModuleType) -> list[float]:
    """Return scores in percent, if the task has percentages."""
    return [100 * value if task.PERCENT else value for value in values]


def _write_interval(value: float, interval: Sequence[float], task: ModuleType, sign: str = "") -> str:
    """Return a score with its interval as text."""
    form = f"{sign}.{1 if task.PERCENT else 3}f"
    value, low, high = _scale([value, *interval], task)
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"


def _describe_difference(difference: Difference, task: ModuleType) -> tuple[str, str]:
    """Return the difference with its interval, and the p-value."""
    return _write_interval(difference.difference, difference.interval, task, "+"), f"{difference.p_value:.3f}"
