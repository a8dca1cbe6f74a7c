"""Train on each corpus, and test on every other."""

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from accelerate import PartialState

from ser_hf.cache import explain_full_disk
from ser_hf.data.protocols import list_folds
from ser_hf.evaluation import read_predictions
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.description import describe_machine
from ser_hf.runs.file_names import PREDICTIONS, RESULTS
from ser_hf.runs.recipe import resolve_recipe
from ser_hf.runs.result_records import Results
from ser_hf.runs.results import read_results
from ser_hf.runs.speech_data import label_utterances, load_utterances, name_roots
from ser_hf.runs.task_options import complete_arguments
from ser_hf.scoring.evaluate import evaluate
from ser_hf.scoring.evaluation_arguments import EvaluationArguments
from ser_hf.scoring.label_sets import (
    CorpusLabels,
    check_pairs,
    common_labels,
    describe_labels,
    limit_labels,
    read_labels,
)
from ser_hf.scoring.matrix import Matrix, MatrixCell, MatrixRow, score_cell, write_matrix
from ser_hf.workflows.cross_validate import claim_parent, cross_validate
from ser_hf.workflows.matrix_arguments import MatrixArguments

logger = logging.getLogger(__name__)


def cross_corpus(
    run: Callable[..., Results | None], data: DataArguments, matrix: MatrixArguments, *arguments
) -> Matrix | None:
    """Run `finetune` or `probe` on each corpus, and on several together, and test each model on every corpus.

    On its own corpora, a model is scored on test speakers: those of the split, or with a protocol those of all folds.
    On other corpora, it is scored on all utterances; with a protocol, that is the model of the first fold. Finished
    models and scores are kept.

    Args:
        run: `ser_hf.finetune` or `ser_hf.probe`.
        data: Corpora, labels, split or protocol, and augmentation; `fold` is not used.
        matrix: Models and labels.
        *arguments: Other arguments of `run`; the last one has the output folder.

    Returns:
        The matrix, which is also written to the output folder; None in all processes of a distributed run except the
        first.

    Raises:
        ValueError: If there are fewer than two corpora, they share too few labels, or for the reasons of `run`.
        OSError: If the output folder contains another run, or for the reasons of `run`.
    """
    names = list(name_roots(data))
    if len(names) < 2 or data.task != "categories" or data.target != "emotion":
        raise ValueError(
            f"Expected two or more corpora with the task 'categories' and the target 'emotion', found {names}, "
            f"'{data.task}' and '{data.target}'."
        )
    rows, tables = matrix.list_rows(names), read_labels(data)
    keep = None
    if matrix.labels == "common":
        keep = common_labels(tables)
    else:
        check_pairs(tables)
    _check_protocol(data, rows, tables)
    output_dir, first = Path(arguments[-1].output_dir), PartialState().is_main_process
    if first:
        recipe = resolve_recipe(data, matrix, *complete_arguments(data, arguments)) | {"fold": None}
        claim_parent(output_dir, recipe, f"ser-hf cross-corpus {run.__name__}", "All models")
    found, cells = [], []
    for corpora in rows:
        logger.info(f"Trained on {' and '.join(corpora)}")
        train = replace(limit_labels(data, corpora, tables, keep), balance_corpora=len(corpora) > 1)
        folder = output_dir / "models" / "_".join(corpora)
        results = _train(run, train, arguments, folder)
        if not first:
            continue
        assert results is not None and results.training is not None
        scored, seconds = _score_row(data, corpora, folder, tables, keep, output_dir / "scores")
        cells += scored
        found.append(MatrixRow(" + ".join(corpora), corpora, results.training.seconds, seconds))
    if not first:
        return None
    model = getattr(arguments[0], "model_name_or_path", None)
    finished = Matrix(
        **describe_machine(),
        model=model and Path(model).name,
        split=f"the protocol {data.protocol}" if data.protocol else f"a split by {data.split}, seed {data.split_seed}",
        label_sets=describe_labels(tables, keep),
        rows=found,
        cells=cells,
    )
    with explain_full_disk(output_dir):
        write_matrix(finished, output_dir)
    return finished


def _check_protocol(data: DataArguments, rows: Sequence[Sequence[str]], tables: Mapping[str, CorpusLabels]) -> None:
    """Raise ValueError, before any training, if a protocol does not exist for the corpora of a row."""
    if data.protocol is not None:
        for corpora in rows:
            chosen = limit_labels(data, corpora, tables, None)
            utterances, _ = label_utterances(chosen, load_utterances(chosen))
            list_folds(utterances, data.protocol, folds=data.folds, seed=data.split_seed)


def _train(
    run: Callable[..., Results | None], data: DataArguments, arguments: Sequence, folder: Path
) -> Results | None:
    *others, last = arguments
    last = replace(last, output_dir=str(folder))
    return cross_validate(run, data, *others, last) if data.protocol else run(data, *others, last)


def _score_row(
    data: DataArguments,
    corpora: Sequence[str],
    folder: Path,
    tables: Mapping[str, CorpusLabels],
    keep: Sequence[str] | None,
    scores: Path,
) -> tuple[list[MatrixCell], float]:
    """Return the cells of a model in `folder`, and the seconds of scoring other corpora."""
    cells, seconds, name = [], 0.0, " + ".join(corpora)
    outputs = {label for corpus in corpora for label in tables[corpus].labels.values() if label}
    predictions = read_predictions(folder / PREDICTIONS).query("split == 'test'")
    checkpoint = folder / "fold_1" if data.protocol else folder
    for test, table in tables.items():
        labels = sorted(outputs & {label for label in table.labels.values() if label} & set(keep or outputs))
        if len(labels) < 2:
            continue
        if test in corpora:
            own = list(name_roots(limit_labels(data, corpora, tables, keep)))[list(corpora).index(test)]
            cells.append(score_cell(name, test, predictions[predictions["corpus"] == own], labels, same_corpus=True))
            continue
        others = replace(limit_labels(data, [test], tables, labels), protocol=None, fold=1)
        results = _evaluate(others, checkpoint, scores / f"{folder.name}_on_{test}")
        assert results.evaluation is not None
        seconds += results.evaluation.seconds
        table_of_test = read_predictions(scores / f"{folder.name}_on_{test}" / PREDICTIONS)
        cells.append(score_cell(name, test, table_of_test, labels, same_corpus=False))
    return cells, seconds


def _evaluate(data: DataArguments, checkpoint: Path, folder: Path) -> Results:
    """Return the results of a checkpoint on a corpus; those of an older or interrupted evaluation are replaced."""
    done, trained = folder / RESULTS, checkpoint / RESULTS
    if folder.exists() and not (done.exists() and done.stat().st_mtime >= trained.stat().st_mtime):
        shutil.rmtree(folder)
    return read_results(folder) or evaluate(data, EvaluationArguments(str(checkpoint), str(folder)))
