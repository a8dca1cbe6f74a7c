"""Fine-tune any audio classifier of transformers on emotional speech, and score it on new speakers.

    accelerate launch recipes/finetune.py recipes/configs/ravdess/wav2vec2_base.yaml --data_root ~/RAVDESS --seed 1

A recipe is a YAML file. The command line overrides its keys, and `--help` lists them. The output folder is a model
repository, which the stock `pipeline("audio-classification")` loads. After an interruption, the same command resumes
from the last checkpoint. With more epochs, the same command continues a finished run; the learning rate then follows
the schedule of a run of the new length.
"""

import sys

from ser_hf.cli import run_main
from ser_hf.commands.training import train_command


def main(argv: list[str]) -> None:
    """Train, score and document a checkpoint."""
    train_command(argv, prog="finetune.py", description=__doc__)


if __name__ == "__main__":
    sys.exit(run_main(main, sys.argv[1:]))
