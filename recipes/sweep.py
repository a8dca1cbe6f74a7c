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

from ser_hf.cli import run_main, start_logging
from ser_hf.escaping import show
from ser_hf.runs.command_line import parse_arguments
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.model_arguments import ModelArguments
from ser_hf.runs.training_options import TrainingOptions
from ser_hf.workflows.sweep_arguments import SweepArguments

KINDS = (DataArguments, ModelArguments, TrainingOptions, SweepArguments)


def main(argv: list[str]) -> None:
    """Run the requested number of trials, and print the best ones."""
    start_logging()
    arguments = parse_arguments(argv, KINDS, description=__doc__)
    from ser_hf.workflows.sweep import describe_sweep, sweep  # imports torch, which is slow, so after --help

    show(describe_sweep(sweep(*arguments), arguments[2].output_dir))


if __name__ == "__main__":
    sys.exit(run_main(main, sys.argv[1:]))
