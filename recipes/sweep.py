r"""Search the settings of a recipe with Optuna, judged on validation speakers; the best ones become a recipe again.

    accelerate launch --num_processes 1 recipes/sweep.py recipes/configs/ravdess/whisper_tiny.yaml \
        --data_root ~/RAVDESS --trials 20 --output_dir runs/sweep

The first trial is the recipe itself, the others are drawn around it. The search lies in output_dir/sweep.db: the same
command, started once more beside the first (one per GPU), shares it; started again after an interruption, it goes on.
The test speakers are never scored and no weights are kept: fine-tune recipe.yaml for that. Beside it lie trials.csv
and sweep.png; all three are written anew after each trial.
"""

import logging
import sys

from ser_hf.runs.command_line import parse_arguments
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.model_arguments import ModelArguments
from ser_hf.runs.training_options import TrainingOptions
from ser_hf.workflows.sweep_arguments import SweepArguments

KINDS = (DataArguments, ModelArguments, TrainingOptions, SweepArguments)


def main(argv: list[str]) -> None:
    """Run trials until there are enough, and print the best."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("ser_hf").setLevel(logging.INFO)
    try:
        arguments = parse_arguments(argv, KINDS, description=__doc__)
        from ser_hf.workflows.sweep import describe_sweep, sweep  # after --help, which does not wait for torch

        print(describe_sweep(sweep(*arguments), arguments[2].output_dir))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
