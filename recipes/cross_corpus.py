r"""Train a recipe on each corpus, test it on every other, and write the matrix of scores.

    python recipes/cross_corpus.py probe recipes/configs/ravdess/probe_whisper_tiny.yaml \
        --corpus ravdess urdu turev_db --data_root ~/RAVDESS ~/URDU ~/TurEV-DB --label_map calm=neutral \
        --protocol group_kfold --folds 6 --output_dir runs/matrix

The corpora are limited to the labels that all of them have. A model is also trained on all corpora except one, for each
corpus, with equal weights. With a protocol, the scores of a model on its own corpora are cross-validated over speakers;
without one, they are those of the test speakers of a split. models/ in the output folder contains the models, scores/
their scores on other corpora. README.md, matrix.csv, matrix.json and figures/matrix.png contain the matrix. After an
interruption, the same command continues.
"""

import sys

from ser_hf.cli import run_main
from ser_hf.commands.folds import cross_corpus_command


def main(argv: list[str]) -> None:
    """Train and score the models, and print the matrix."""
    cross_corpus_command(argv, prog="cross_corpus.py", description=__doc__)


if __name__ == "__main__":
    sys.exit(run_main(main, sys.argv[1:]))
