"""Compare finished runs in a Markdown table and a figure, computed from their stored results.

python recipes/compare.py runs/ravdess/probe_classical runs/ravdess/whisper_tiny --output compare.png
"""

import argparse
import string
import sys
from pathlib import Path

from ser_hf.cli import run_main
from ser_hf.evaluation import figures  # imports matplotlib when it draws
from ser_hf.runs.file_names import PREDICTIONS, RESULTS


def main(argv: list[str]) -> None:
    """Print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", help="output folders of recipes or of ser-hf evaluate")
    parser.add_argument("--output", help="PNG file to draw")
    arguments = parser.parse_args(argv)
    runs = [summarize_run(Path(folder)) for folder in arguments.folders]
    note = mark_test_sets(runs)
    print("| run | UA | WA | macro-F1 | speakers / utterances | time | hardware, date |\n|---|---|---|---|---|---|---|")
    for run in runs:
        print(f"| {' | '.join(run['cells'])} |")
    print(note, end="")
    if arguments.output:
        figures.plot_runs(runs, arguments.output)


def summarize_run(folder: Path) -> dict:
    """Return the values of a run for the table and the figure."""
    from ser_hf.runs.results import read_results  # imports pandas, which is slow, so after --help

    results = read_results(folder)
    if results is None:
        raise FileNotFoundError(f"Expected {RESULTS} of a finished run in '{folder}', found none.")
    test, work = results.test, results.training or results.evaluation
    splits = results.folds or [results.split]
    scores = [
        f"{100 * getattr(test, name):.1f} [{', '.join(f'{100 * bound:.1f}' for bound in test.intervals[name])}]"
        for name in ("ua", "wa", "macro_f1")
    ]
    size, minutes = f"{test.speakers} / {test.utterances}", f"{work.seconds / 60:.0f} min"
    return {
        "name": folder.name.replace("_", " "),
        "ua": test.ua,
        "interval": test.intervals["ua"],
        "utterances": read_test_utterances(folder),
        "counts": [
            sorted((name, row["utterances"]) for name, row in test.per_speaker.items()),
            {emotion: row["support"] for emotion, row in test.per_emotion.items()},
            [fold.speakers for fold in results.folds or []],
        ],
        "speaker_independent": all(split.speaker_independent for split in splits),
        "cells": [f"`{folder.name}`", *scores, size, minutes, f"{work.hardware}, {work.date}"],
    }


def read_test_utterances(folder: Path) -> list | None:
    """Return the test utterances of a run and their targets, sorted; None if the run has no predictions.csv."""
    from ser_hf.evaluation import read_predictions

    if not (folder / PREDICTIONS).is_file():
        return None
    table = read_predictions(folder / PREDICTIONS).query("split == 'test'")
    columns = table[["corpus", "path", "start", "end", "target"]].astype(str)
    return sorted(columns.itertuples(index=False, name=None))


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


if __name__ == "__main__":
    sys.exit(run_main(main, sys.argv[1:]))
