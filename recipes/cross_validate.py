r"""Run a recipe on every fold of its protocol, and pool the test predictions.

    accelerate launch recipes/cross_validate.py finetune recipes/configs/ravdess/whisper_tiny.yaml \
        --data_root ~/RAVDESS --output_dir runs/ravdess/whisper_tiny_folds
    python recipes/cross_validate.py probe recipes/configs/ravdess/probe_classical.yaml --data_root ~/RAVDESS

Each fold has its own folder in the output folder: fold_1, fold_2 and so on. recipe.yaml in the output folder is the
recipe of all folds. After an interruption, the same command keeps the finished folds, and the interrupted fold resumes
from its last checkpoint.
"""

import sys

from ser_hf.cli import run_main
from ser_hf.commands.folds import cross_validate_command


def main(argv: list[str]) -> None:
    """Run the folds one after the other, and write the pooled results and their card."""
    cross_validate_command(argv, prog="cross_validate.py", description=__doc__)


if __name__ == "__main__":
    sys.exit(run_main(main, sys.argv[1:]))
