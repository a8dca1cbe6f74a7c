"""Define `ser-hf compare`: finished runs side by side."""

import argparse
import string
from pathlib import Path

from ser_hf.escaping import show


def compare_command(argv: list[str], *, prog: str = "ser-hf compare", description: str | None = None) -> None:
    """Compare finished runs: a table of their scores, paired differences to the first run, and a figure."""
    description = description or compare_command.__doc__
    parser = argparse.ArgumentParser(prog, None, description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", help="output folders of recipes or of ser-hf evaluate")
    parser.add_argument("--predictions", nargs="+", default=[], metavar="CSV", help="tables of other predictions")
    parser.add_argument("--output", help="PNG file to draw")
    parser.add_argument("--titles", nargs="+", help="titles of the runs in the figure; default: from their recipes")
    arguments = parser.parse_args(argv)
    if arguments.titles and len(arguments.titles) != len(arguments.folders):
        found = len(arguments.titles)
        parser.error(f"titles: expected one for each of {len(arguments.folders)} folders, found {found}.")
    from ser_hf.evaluation import figures  # these import pandas, which is slow, so after --help
    from ser_hf.scoring.comparison import read_run
    from ser_hf.scoring.run_titles import title_run
    from ser_hf.tasks import load_task

    runs = [(Path(folder).name, *read_run(folder)) for folder in arguments.folders]
    if len(names := {results.task for _, results, _ in runs}) > 1:
        raise ValueError(f"Expected runs of one task, found {', '.join(sorted(names))}. Compare each task by itself.")
    task = load_task(runs[0][1].task)
    lines = [_summarize_run(*run, task) for run in runs]
    note = _mark_test_sets(lines)
    titles = [metric.short for metric in task.METRICS.values()]
    print(f"| run | {' | '.join(titles)} | speakers / utterances | time | hardware, date |")
    print("|---" * (len(titles) + 4) + "|")
    for line in lines:
        print(f"| {' | '.join(line['cells'])} |")
    print(note, end="")
    if len(runs) + len(arguments.predictions) > 1:
        _print_differences(runs, arguments.predictions, task)
    _print_conditions(arguments.folders)
    if arguments.output:
        first = next(iter(task.METRICS.values()))
        titles = arguments.titles or [
            title_run(folder, run[1]) for folder, run in zip(arguments.folders, runs, strict=True)
        ]
        for title, line in zip(titles, lines, strict=True):  # runs of one kind are told apart by their folders
            line["title"] = title + f" ({line['name']})" * (titles.count(title) > 1) + line["letter"]
        figures.plot_runs(lines, first.label + " in %" * task.PERCENT, arguments.output)


def _summarize_run(name: str, results, predictions, task) -> dict:
    """Return the values of a run for the table and the figure."""
    test, work = results.test, results.training or results.evaluation
    splits = results.folds or [results.split]
    scores = {metric: _scale([getattr(test, metric), *test.intervals[metric]], task) for metric in task.METRICS}
    size, minutes = f"{test.speakers} / {test.utterances}", f"{work.seconds / 60:.0f} min"
    first = next(iter(scores.values()))
    return {
        "name": name.replace("_", " "),
        "letter": "",
        "score": first[0],
        "interval": first[1:],
        "utterances": _list_utterances(predictions),
        "counts": [
            sorted((name, row["utterances"]) for name, row in test.per_speaker.items()),
            {emotion: row.get("support") for emotion, row in getattr(test, "per_emotion", {}).items()},
            [fold.speakers for fold in results.folds or []],
        ],
        "speaker_independent": all(split.speaker_independent for split in splits),
        "cells": [
            f"`{name}`",
            *(
                f"{_write(score, task)} [{_write(low, task)}, {_write(high, task)}]"
                for score, low, high in scores.values()
            ),
            size,
            minutes,
            f"{work.hardware}, {work.date}",
        ],
    }


def _scale(values: list[float], task) -> list[float]:
    """Return scores in percent, if the task has percentages."""
    return [100 * value if task.PERCENT else value for value in values]


def _write(value: float, task, sign: str = "") -> str:
    """Return a score as text."""
    return f"{value:{sign}.{1 if task.PERCENT else 3}f}"


def _list_utterances(predictions) -> list | None:
    """Return the test utterances and their targets, sorted; None without predictions."""
    if predictions is None:
        return None
    from ser_hf.evaluation.paired import KEY, has_one_utterance_per_file

    key = KEY[:2] if has_one_utterance_per_file(predictions) else KEY  # runs may trim the ends of files
    columns = key + [name for name in predictions if name.startswith("target")]
    return sorted(predictions[columns].astype(str).itertuples(index=False, name=None))


def _mark_test_sets(runs: list[dict]) -> str:
    """Add a letter to the name of each run if their test sets or folds differ, and return a note that says so.

    Without predictions.csv of every run, only the numbers of test utterances by speaker and emotion are compared.
    """
    read = all(run["utterances"] is not None for run in runs)
    keys = [str((run["utterances"] if read else None, run["counts"])) for run in runs]
    letters = dict(zip(dict.fromkeys(keys), string.ascii_uppercase, strict=False))
    if len(letters) == 1:
        return ""
    for run, key in zip(runs, keys, strict=True):
        run["letter"] = f" ({letters[key]})"
        run["cells"][0] += f" ({letters[key]})"
    return "\nDifferent letters mark different test utterances or folds: these scores are not comparable.\n"


def _print_differences(runs: list, tables: list[str], task) -> None:
    """Print the differences of the other runs and tables to the first run."""
    from ser_hf.scoring.comparison import compare_predictions, read_answers

    (first, results, predictions), *others = runs
    if missing := [name for name, _, table in runs if table is None]:
        show(f"\nNo differences: predictions.csv is not in {', '.join(missing)}.")
        return
    others = [(name, table) for name, _, table in others]
    others += [(Path(path).name, read_answers(path, predictions)) for path in tables]
    compared = compare_predictions(results, predictions, others)
    metrics = list(compared[0].differences)
    show(f"\n| minus `{first}` | {' | '.join(f'{name} | p' for name in metrics)} | speakers higher / lower |")
    show("|---" * (2 + 2 * len(metrics)) + "|")
    for one in compared:
        cells = [cell for name in metrics for cell in _describe_difference(one.differences[name], task)]
        lead = one.differences[metrics[0]]
        show(f"| `{one.name}` | {' | '.join(cells)} | {lead.higher} / {lead.lower} of {one.speakers} |")
    for one in compared:
        show(f"`{one.name}`: {one.utterances} test utterances in both, {one.left_out} in one of them only (left out).")


def _print_conditions(folders: list[str]) -> None:
    """Print the scores of the other runs under degraded conditions beside those of the first, if they were measured."""
    from ser_hf.scoring.condition_comparison import compare_conditions, has_conditions, tabulate_comparison

    first, *others = folders
    for other in others:
        if has_conditions(first) and has_conditions(other):
            names = Path(first).name, Path(other).name
            show("", tabulate_comparison(compare_conditions(first, other), *names))


def _describe_difference(difference, task) -> tuple[str, str]:
    """Return the difference with its interval, and the p-value."""
    value, low, high = (_write(each, task, "+") for each in _scale([difference.difference, *difference.interval], task))
    return f"{value} [{low}, {high}]", f"{difference.p_value:.3f}"
