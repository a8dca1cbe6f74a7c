"""Compare finished runs: a Markdown table of their scores, paired differences to the first run, and a figure.

python recipes/compare.py runs/ravdess/probe_classical runs/ravdess/whisper_tiny --output compare.png

A difference is computed on the test utterances that both runs have, with a 95 % interval from a bootstrap over
speakers, paired by speaker, and the p-value of a permutation test over speakers. A gain is shown if the interval is
above 0. A table of anyone's predictions (columns path, prediction) is compared like a run:

python recipes/compare.py runs/ravdess/whisper_tiny --predictions theirs.csv
"""

import argparse
import string
import sys
from pathlib import Path

from ser_hf.cli import run_main
from ser_hf.escaping import show


def main(argv: list[str]) -> None:
    """Print the tables and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", help="output folders of recipes or of ser-hf evaluate")
    parser.add_argument("--predictions", nargs="+", default=[], metavar="CSV", help="tables of other predictions")
    parser.add_argument("--output", help="PNG file to draw")
    arguments = parser.parse_args(argv)
    from ser_hf.evaluation import figures  # these import pandas, which is slow, so after --help
    from ser_hf.scoring.comparison import read_run

    runs = [(Path(folder).name, *read_run(folder)) for folder in arguments.folders]
    lines = [summarize_run(*run) for run in runs]
    note = mark_test_sets(lines)
    show("| run | UA | WA | macro-F1 | speakers / utterances | time | hardware, date |\n|---|---|---|---|---|---|---|")
    for line in lines:
        show(f"| {' | '.join(line['cells'])} |")
    if note:
        show(note.removesuffix("\n"))
    if len(runs) + len(arguments.predictions) > 1:
        print_differences(runs, arguments.predictions)
    if arguments.output:
        figures.plot_runs(lines, arguments.output)


def summarize_run(name: str, results, predictions) -> dict:
    """Return the values of a run for the table and the figure."""
    test, work = results.test, results.training or results.evaluation
    splits = results.folds or [results.split]
    scores = [
        f"{100 * getattr(test, metric):.1f} [{', '.join(f'{100 * bound:.1f}' for bound in test.intervals[metric])}]"
        for metric in ("ua", "wa", "macro_f1")
    ]
    size, minutes = f"{test.speakers} / {test.utterances}", f"{work.seconds / 60:.0f} min"
    return {
        "name": name.replace("_", " "),
        "ua": test.ua,
        "interval": test.intervals["ua"],
        "utterances": list_utterances(predictions),
        "counts": [
            sorted((name, row["utterances"]) for name, row in test.per_speaker.items()),
            {emotion: row["support"] for emotion, row in test.per_emotion.items()},
            [fold.speakers for fold in results.folds or []],
        ],
        "speaker_independent": all(split.speaker_independent for split in splits),
        "cells": [f"`{name}`", *scores, size, minutes, f"{work.hardware}, {work.date}"],
    }


def list_utterances(predictions) -> list | None:
    """Return the test utterances and their targets, sorted; None without predictions."""
    if predictions is None:
        return None
    columns = ["corpus", "path", "start", "end", *(name for name in predictions if name.startswith("target"))]
    return sorted(predictions[columns].astype(str).itertuples(index=False, name=None))


def mark_test_sets(runs: list[dict]) -> str:
    """Add a letter to the name of each run if their test sets or folds differ, and return a note that says so.

    Without predictions.csv of every run, only the numbers of test utterances by speaker and emotion are compared.
    """
    read = all(run["utterances"] is not None for run in runs)
    keys = [str((run["utterances"] if read else None, run["counts"])) for run in runs]
    letters = dict(zip(dict.fromkeys(keys), string.ascii_uppercase, strict=False))
    if len(letters) == 1:
        return ""
    for run, key in zip(runs, keys, strict=True):
        run["name"] += f" ({letters[key]})"
        run["cells"][0] += f" ({letters[key]})"
    return "\nDifferent letters mark different test utterances or folds: these scores are not comparable.\n"


def print_differences(runs: list, tables: list[str]) -> None:
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
    show(f"\n| minus `{first}` | {' | '.join(f'{name} | p' for name in metrics)} | speakers better / worse |")
    show("|---" * (2 + 2 * len(metrics)) + "|")
    for one in compared:
        cells = [cell for name in metrics for cell in describe_difference(one.differences[name])]
        lead = one.differences[metrics[0]]
        show(f"| `{one.name}` | {' | '.join(cells)} | {lead.better} / {lead.worse} of {one.speakers} |")
    for one in compared:
        show(f"`{one.name}`: {one.utterances} test utterances in both, {one.left_out} in one of them only (left out).")


def describe_difference(difference) -> tuple[str, str]:
    """Return the difference with its interval, in points of 100, and the p-value."""
    low, high = difference.interval
    return f"{100 * difference.difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]", f"{difference.p_value:.3f}"


if __name__ == "__main__":
    sys.exit(run_main(main, sys.argv[1:]))
