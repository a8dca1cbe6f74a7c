r"""Search the best settings of a recipe with Optuna on the validation speakers, and write them as a new recipe.

    accelerate launch --num_processes 1 recipes/sweep.py recipes/configs/ravdess/whisper_tiny.yaml \
        --data_root ~/RAVDESS --trials 20 --output_dir runs/sweep

The first trial is the recipe itself; the settings of other trials are sampled around it. The search is stored in
output_dir/sweep.db. Several processes (one per GPU) can share it: start the same command several times. After an
interruption, the same command continues the search. The test speakers are never scored and no weights are saved:
fine-tune with recipe.yaml in the output folder for that. recipe.yaml, trials.csv and sweep.png are updated after each
trial.
"""

import sys

from ser_hf.cli import run_main
from ser_hf.commands.training import sweep_command


def main(argv: list[str]) -> None:
    """Run the requested number of trials, and print the best ones."""
    sweep_command(argv, prog="sweep.py", description=__doc__)


if __name__ == "__main__":
    sys.exit(run_main(main, sys.argv[1:]))
