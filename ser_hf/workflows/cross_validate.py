"""Run a workflow on every fold of its protocol, and pool the test predictions."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from accelerate import PartialState

from ser_hf.cache import explain_full_disk, remove_partial_files, write_text
from ser_hf.data.protocols import list_folds
from ser_hf.publishing.card import render_folds_card
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.file_names import CARD, RECIPE
from ser_hf.runs.folder import check_folder
from ser_hf.runs.recipe import rerun_command, resolve_recipe, write_recipe
from ser_hf.runs.result_records import Results
from ser_hf.runs.score_table import describe_results
from ser_hf.runs.speech_data import label_utterances, load_utterances
from ser_hf.runs.task_options import complete_arguments
from ser_hf.tasks import load_task
from ser_hf.workflows.folds import pool_folds

logger = logging.getLogger(__name__)


def cross_validate(run: Callable[..., Results | None], data: DataArguments, *arguments) -> Results | None:
    """Run `finetune` or `probe` on every fold in a separate folder, and pool the test predictions.

    Finished folds are kept, and an interrupted fold resumes from its last checkpoint.

    Args:
        run: `ser_hf.finetune` or `ser_hf.probe`.
        data: Corpora, labels, protocol and augmentation; `fold` is not used.
        *arguments: Other arguments of `run`; the last one has the output folder.

    Returns:
        The pooled results; None in all processes of a distributed run except the first.

    Raises:
        ValueError: If there is no protocol, or for the reasons of `run`.
        OSError: If the output folder contains another run, or for the reasons of `run`.
    """
    if data.protocol is None:
        raise ValueError(
            "Expected a protocol with folds: pass --protocol, such as leave_one_speaker_out or group_kfold."
        )
    *others, last = complete_arguments(data, arguments)
    output_dir, first = Path(last.output_dir), PartialState().is_main_process
    utterances, _ = label_utterances(data, load_utterances(data))
    count = len(list_folds(utterances, data.protocol, folds=data.folds, seed=data.split_seed))
    folders = [output_dir / f"fold_{fold}" for fold in range(1, count + 1)]
    with explain_full_disk(output_dir):
        if first:
            recipe = resolve_recipe(data, *others, last) | {"fold": None}
            claim_parent(output_dir, recipe, f"ser-hf cross-validate {run.__name__}", "All folds")
        for fold, folder in enumerate(folders, 1):
            logger.info(f"Fold {fold} of {count} of {data.protocol}, in {folder}")
            try:
                run(replace(data, fold=fold), *others, replace(last, output_dir=str(folder)))
            except (ValueError, OSError, ImportError):
                if first and not list(output_dir.glob("fold_*")):  # no fold has started: free the folder
                    (output_dir / RECIPE).unlink()
                raise
        if not first:
            return None
        results = pool_folds(folders, output_dir, protocol=data.protocol)
        write_text(output_dir / CARD, render_folds_card(results, folders[0]))
        return results


def claim_parent(output_dir: Path, recipe: dict, launch: str, what: str) -> None:
    """Write the recipe of several runs into their parent folder, after a check that it contains no other run.

    `fold` is null in this recipe. It is a number in the recipe of a single run, so the two are never confused.

    Args:
        output_dir: Folder of the runs.
        recipe: Settings of the runs.
        launch: Command without arguments.
        what: What the recipe describes, for a reader.
    """
    check_folder(output_dir, recipe)
    output_dir.mkdir(parents=True, exist_ok=True)
    remove_partial_files(list(output_dir.iterdir()))
    rerun = rerun_command(launch, recipe)
    write_recipe(output_dir, recipe, comment=f"{what}. Rerun with:\n{rerun}")


def describe_folds(results: Results, output_dir: str | Path) -> str:
    """Return the final message."""
    name = next(iter(load_task(results.task).METRICS))
    assert results.folds is not None and results.mean is not None and results.sd is not None
    return (
        f"{len(results.folds)} folds pooled:\n{describe_results(results)}\n"
        f"Mean of the folds: {results.mean[name]:.3f} ± {results.sd[name]:.3f} (standard deviation).\n"
        f"Evidence: {output_dir}/README.md"
    )
