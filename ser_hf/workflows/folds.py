"""Pool the test predictions of the folds of a protocol in one table, and score them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas

from ser_hf.evaluation import read_predictions, write_predictions
from ser_hf.runs.file_names import FIGURES, PREDICTIONS
from ser_hf.runs.recipe import read_recipe
from ser_hf.runs.result_records import AgreementRecord, FoldRecord, Results
from ser_hf.runs.results import read_results, write_results
from ser_hf.tasks import load_task


def pool_folds(folders: Sequence[str | Path], output_dir: str | Path, *, protocol: str) -> Results:
    """Pool the test predictions of finished folds, write them with results and figures, and return the results.

    Args:
        folders: Output folder of each fold, in the order of the folds.
        output_dir: Folder to which predictions.csv, all_results.json and the figures are written.
        protocol: Name of the protocol.

    Returns:
        The results: scores of the pooled test utterances, mean and standard deviation over the folds, and each fold.

    Raises:
        ValueError: If the folds have different tasks or outputs, or an utterance is tested in two folds.
    """
    results = [_read_finished(folder) for folder in folders]
    seconds = sum(fold.training.seconds for fold in results if fold.training)
    name, outputs = results[0].task, results[0].outputs
    same = [(fold.task, fold.outputs) == (name, outputs) for fold in results]
    if different := [str(folder) for folder, alike in zip(folders, same, strict=True) if not alike]:
        raise ValueError(f"Expected the outputs {outputs} in every fold, found others in {different}.")
    task = load_task(name)
    tables = [read_predictions(Path(folder, PREDICTIONS)).query("split == 'test'") for folder in folders]
    pooled = pandas.concat(tables, ignore_index=True)
    if (twice := pooled.duplicated(["corpus", "path", "start", "end"])).any():
        raise ValueError(f"Utterances are tested in two folds (first: {pooled.loc[twice, 'path'].iloc[0]}).")
    scores = {metric: np.array([getattr(fold.test, metric) for fold in results]) for metric in task.METRICS}
    recipe = read_recipe(folders[0])
    recipe.pop("fold")
    pooled_results = Results(
        outputs,
        task.summarize(pooled, outputs),
        task=name,
        protocol=protocol,
        rating_scale=results[0].rating_scale,
        recipe=recipe,
        mean={metric: float(values.mean()) for metric, values in scores.items()},
        sd={metric: float(values.std(ddof=1)) if len(values) > 1 else 0.0 for metric, values in scores.items()},
        folds=[_describe_fold(fold) for fold in results],
        agreement=_pool_agreement([fold.agreement for fold in results]),
        training=results[-1].training and replace(results[-1].training, seconds=seconds),
    )
    output_dir = Path(output_dir)
    task.draw_scores(pooled_results.test, pooled, output_dir / FIGURES)
    write_predictions(pooled, output_dir / PREDICTIONS)
    write_results(output_dir, pooled_results)
    return pooled_results


def _read_finished(folder: str | Path) -> Results:
    results = read_results(folder)
    assert results is not None
    return results


def _pool_agreement(folds: list[AgreementRecord | None]) -> AgreementRecord | None:
    """Return the pooled comparison with the stock pipeline; None if a fold has none, as for probes."""
    known = [fold for fold in folds if fold is not None]
    if len(known) < len(folds):
        return None
    differences = [fold.largest_difference for fold in known if fold.largest_difference is not None]
    return AgreementRecord(
        test=sum(fold.test for fold in known),
        compared=sum(fold.compared for fold in known),
        agree=sum(fold.agree for fold in known),
        largest_difference=max(differences) if len(differences) == len(known) else None,
        tolerance=known[0].tolerance,
        error=next((fold.error for fold in known if fold.error), None),
    )


def _describe_fold(results: Results) -> FoldRecord:
    assert results.split is not None and results.training is not None
    return FoldRecord(
        scores={name: getattr(results.test, name) for name in load_task(results.task).METRICS},
        speakers=results.split.test.speakers,
        utterances=results.test.utterances,
        speaker_independent=results.split.speaker_independent,
        seconds=results.training.seconds,
        audio=results.audio,
    )
