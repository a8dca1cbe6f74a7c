"""Folds of a protocol, each trained and tested on its own -> one table of predictions and one set of scores."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas
import yaml

from ser_hf.evaluation import read_predictions, summarize, write_predictions
from ser_hf.evaluation.figures import plot_confusion, plot_speakers
from ser_hf.evaluation.scores import METRICS
from ser_hf.runs.recipe import FILE_NAME
from ser_hf.runs.results import FIGURES, PREDICTIONS, mark_finished, read_results


def pool_folds(folders: Sequence[str | Path], output_dir: str | Path, *, protocol: str) -> dict:
    """Pool the test predictions of finished folds, write the evidence into the output folder, and return it.

    Args:
        folders: The output folder of each fold, in their order.
        output_dir: Where predictions.csv, all_results.json and the figures go.
        protocol: What the folds are of.

    Returns:
        "test": scores and intervals of all test utterances pooled, clustered by speaker; "mean" and "sd" (over folds,
        with n - 1) of each metric; "folds": scores, speakers, training time and unusual audio of each; "recipe": what
        they share; "agreement": as `measure_agreement` of each, in sum.

    Raises:
        ValueError: If folds differ in their emotions, or an utterance is tested in two of them.
    """
    results = [read_results(folder) for folder in folders]
    emotions = results[0]["emotions"]
    if different := [
        str(folder) for folder, fold in zip(folders, results, strict=True) if fold["emotions"] != emotions
    ]:
        raise ValueError(f"Expected the emotions {emotions} in every fold, found others in {different}.")
    tables = [read_predictions(Path(folder, PREDICTIONS)).query("split == 'test'") for folder in folders]
    pooled = pandas.concat(tables, ignore_index=True)
    if (twice := pooled.duplicated(["corpus", "path", "start", "end"])).any():
        raise ValueError(f"Utterances are tested in two folds (first: {pooled.loc[twice, 'path'].iloc[0]}).")
    scores = {name: np.array([fold["test"][name] for fold in results]) for name in METRICS}
    pooled_results = {
        "protocol": protocol,
        "recipe": _read_recipe(folders[0]),
        "emotions": emotions,
        "test": summarize(pooled, emotions),
        "mean": {name: float(values.mean()) for name, values in scores.items()},
        "sd": {name: float(values.std(ddof=1)) if len(values) > 1 else 0.0 for name, values in scores.items()},
        "folds": [_describe_fold(fold) for fold in results],
        "agreement": _pool_agreement([fold.get("agreement") for fold in results]),
        "training": results[-1]["training"] | {"seconds": sum(fold["training"]["seconds"] for fold in results)},
    }
    output_dir = Path(output_dir)
    (output_dir / FIGURES).mkdir(parents=True, exist_ok=True)
    write_predictions(pooled, output_dir / PREDICTIONS)
    plot_confusion(pooled_results["test"], output_dir / FIGURES / "confusion.png")
    if pooled_results["test"]["speakers"]:
        plot_speakers(pooled_results["test"], output_dir / FIGURES / "speakers.png")
    mark_finished(output_dir, pooled_results)
    return pooled_results


def _read_recipe(folder: str | Path) -> dict:
    """Return a fold's recipe without its number."""
    recipe = yaml.safe_load(Path(folder, FILE_NAME).read_text(encoding="utf-8"))
    return {key: value for key, value in recipe.items() if key != "fold"}


def _pool_agreement(folds: list[dict | None]) -> dict | None:
    """Return how many test utterances of all folds the stock pipeline was compared on; None for probes' folds."""
    if not all(folds):
        return None
    return {name: sum(fold[name] for fold in folds) for name in ("test", "compared", "agree")} | {
        "largest_difference": max(fold["largest_difference"] or 0.0 for fold in folds),
        "tolerance": folds[0]["tolerance"],
    }


def _describe_fold(results: dict) -> dict:
    return {
        **{name: results["test"][name] for name in METRICS},
        "speakers": results["split"]["test"]["speakers"],
        "utterances": results["test"]["utterances"],
        "speaker_independent": results["split"]["speaker_independent"],
        "seconds": results["training"]["seconds"],
        "audio": results["audio"],
    }
