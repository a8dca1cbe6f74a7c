"""Define the commands that run a recipe several times: on each fold of a protocol, or on each corpus of several."""

from argparse import ArgumentParser

import ser_hf
from ser_hf.commands.training import JSON, JSON_HELP, show_results
from ser_hf.escaping import show
from ser_hf.heads.probe_arguments import ProbeArguments
from ser_hf.runs.command_line import parse_arguments, take_flag
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.model_arguments import ModelArguments
from ser_hf.runs.training_options import TrainingOptions
from ser_hf.terminal import ParagraphFormatter
from ser_hf.workflows.matrix_arguments import MatrixArguments

ARGUMENTS = {"finetune": (ModelArguments, TrainingOptions), "probe": (ProbeArguments,)}


def cross_validate_command(
    argv: list[str], *, prog: str = "ser-hf cross-validate", description: str | None = None
) -> None:
    """Run a recipe on each fold of its protocol, and pool the test predictions."""
    description = description or cross_validate_command.__doc__
    run, argv = _choose(argv, prog, description)
    if run is None:
        return
    as_json, argv = take_flag(argv, JSON)
    data, *arguments = parse_arguments(
        argv, (DataArguments, *ARGUMENTS[run]), prog=f"{prog} {run}", description=description, epilog=JSON_HELP
    )
    from ser_hf.workflows.cross_validate import cross_validate, describe_folds

    results = cross_validate(getattr(ser_hf, run), data, *arguments)
    if results is not None:
        folder = arguments[-1].output_dir
        show_results(describe_folds(results, folder), folder, as_json=as_json)


def cross_corpus_command(argv: list[str], *, prog: str = "ser-hf cross-corpus", description: str | None = None) -> None:
    """Train a recipe on each corpus, test it on every other, and write the matrix of scores."""
    description = description or cross_corpus_command.__doc__
    run, argv = _choose(argv, prog, description)
    if run is None:
        return
    kinds = (DataArguments, MatrixArguments, *ARGUMENTS[run])
    data, matrix, *arguments = parse_arguments(argv, kinds, prog=f"{prog} {run}", description=description)
    from ser_hf.scoring.matrix import render_matrix
    from ser_hf.workflows.cross_corpus import cross_corpus

    if found := cross_corpus(getattr(ser_hf, run), data, matrix, *arguments):
        show(render_matrix(found), f"All files are in {arguments[-1].output_dir}.")


def _choose(argv: list[str], prog: str, description: str | None) -> tuple[str | None, list[str]]:
    """Return the recipe to run, finetune or probe, and its arguments; no recipe if the help was asked for and printed.

    Raises:
        ValueError: If the first argument is another one.
    """
    if argv in (["--help"], ["-h"]):
        epilog = f"'{prog} finetune --help' and '{prog} probe --help' explain the keys of each."
        usage = f"{prog} {{finetune,probe}} [RECIPE] --key value …"
        parser = ArgumentParser(prog, usage, description, epilog, formatter_class=ParagraphFormatter, add_help=False)
        parser.print_help()
        return None, []
    if not argv or argv[0] not in ARGUMENTS:
        found = f"'{argv[0]}'" if argv else "nothing"
        raise ValueError(f"Expected finetune or probe as the first argument, found {found}. See '{prog} --help'.")
    return argv[0], argv[1:]
