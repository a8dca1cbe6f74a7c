r"""Run a recipe on every fold of its protocol, and pool the test predictions.

    accelerate launch recipes/cross_validate.py finetune recipes/configs/ravdess/whisper_tiny.yaml \
        --data_root ~/RAVDESS --output_dir runs/ravdess/whisper_tiny_folds
    python recipes/cross_validate.py probe recipes/configs/ravdess/probe_classical.yaml --data_root ~/RAVDESS

Each fold has its own folder in the output folder: fold_1, fold_2 and so on. recipe.yaml in the output folder is the
recipe of all folds. After an interruption, the same command keeps the finished folds, and the interrupted fold resumes
from its last checkpoint.
"""

import sys

import ser_hf
from ser_hf.cli import run_main, start_logging
from ser_hf.escaping import show
from ser_hf.heads.probe_arguments import ProbeArguments
from ser_hf.runs.command_line import parse_arguments
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.model_arguments import ModelArguments
from ser_hf.runs.training_options import TrainingOptions

KINDS = {
    "finetune": (DataArguments, ModelArguments, TrainingOptions),
    "probe": (DataArguments, ProbeArguments),
}


def main(argv: list[str]) -> None:
    """Run the folds one after the other, and write the pooled results and their card."""
    start_logging()
    if argv in (["--help"], ["-h"]):
        show(f"{__doc__}\nfinetune --help and probe --help list the arguments of each.")
        return
    if argv[:1] not in (["finetune"], ["probe"]):
        raise ValueError(f"Expected the recipe to run, finetune or probe, as the first argument, found {argv[:1]}.")
    data, *arguments = parse_arguments(argv[1:], KINDS[argv[0]], prog=f"cross_validate.py {argv[0]}")
    from ser_hf.workflows.cross_validate import cross_validate, describe_folds

    results = cross_validate(getattr(ser_hf, argv[0]), data, *arguments)
    if results is not None:
        show(describe_folds(results, arguments[-1].output_dir))


if __name__ == "__main__":
    sys.exit(run_main(main, sys.argv[1:]))
