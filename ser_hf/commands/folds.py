"""Define the commands that run a recipe several times: on each fold of a protocol, or on each corpus of several."""

import ser_hf
from ser_hf.commands.training import JSON, show_results
from ser_hf.escaping import show
from ser_hf.heads.probe_arguments import ProbeArguments
from ser_hf.runs.command_line import parse_arguments, take_flag
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.model_arguments import ModelArguments
from ser_hf.runs.training_options import TrainingOptions
from ser_hf.workflows.matrix_arguments import MatrixArguments

ARGUMENTS = {"finetune": (ModelArguments, TrainingOptions), "probe": (ProbeArguments,)}


def cross_validate_command(
    argv: list[str], *, prog: str = "ser-hf cross-validate", description: str | None = None
) -> None:
    """Run a recipe on each fold of its protocol, and pool the test predictions."""
    run, argv = _choose(argv, description or cross_validate_command.__doc__)
    if run is None:
        return
    as_json, argv = take_flag(argv, JSON)
    data, *arguments = parse_arguments(argv, (DataArguments, *ARGUMENTS[run]), prog=f"{prog} {run}")
    from ser_hf.workflows.cross_validate import cross_validate, describe_folds

    results = cross_validate(getattr(ser_hf, run), data, *arguments)
    if results is not None:
        folder = arguments[-1].output_dir
        show_results(describe_folds(results, folder), folder, as_json=as_json)


def cross_corpus_command(argv: list[str], *, prog: str = "ser-hf cross-corpus", description: str | None = None) -> None:
    """Train a recipe on each corpus, test it on every other, and write the matrix of scores."""
    run, argv = _choose(argv, description or cross_corpus_command.__doc__)
    if run is None:
        return
    kinds = (DataArguments, MatrixArguments, *ARGUMENTS[run])
    data, matrix, *arguments = parse_arguments(argv, kinds, prog=f"{prog} {run}")
    from ser_hf.scoring.matrix import render_matrix
    from ser_hf.workflows.cross_corpus import cross_corpus

    if found := cross_corpus(getattr(ser_hf, run), data, matrix, *arguments):
        show(render_matrix(found), f"All files are in {arguments[-1].output_dir}.")


def _choose(argv: list[str], description: str | None) -> tuple[str | None, list[str]]:
    """Return the recipe to run, finetune or probe, and its arguments; no recipe if the help was asked for and printed.

    Raises:
        ValueError: If the first argument is another one.
    """
    if argv in (["--help"], ["-h"]):
        show(f"{description}\nfinetune --help and probe --help list the arguments of each.")
        return None, []
    if not argv or argv[0] not in ARGUMENTS:
        raise ValueError(f"Expected the recipe to run, finetune or probe, as the first argument, found {argv[:1]}.")
    return argv[0], argv[1:]
