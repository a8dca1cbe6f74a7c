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

import logging
import sys

import ser_hf
from ser_hf.cli import run_main
from ser_hf.escaping import show
from ser_hf.heads.probe_arguments import ProbeArguments
from ser_hf.runs.command_line import parse_arguments
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.model_arguments import ModelArguments
from ser_hf.runs.training_options import TrainingOptions
from ser_hf.workflows.matrix_arguments import MatrixArguments

KINDS = {
    "finetune": (DataArguments, MatrixArguments, ModelArguments, TrainingOptions),
    "probe": (DataArguments, MatrixArguments, ProbeArguments),
}


def main(argv: list[str]) -> None:
    """Train and score the models, and print the matrix."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("ser_hf").setLevel(logging.INFO)
    if argv in (["--help"], ["-h"]):
        show(f"{__doc__}\nfinetune --help and probe --help list the arguments of each.")
        return
    if argv[:1] not in (["finetune"], ["probe"]):
        raise ValueError(f"Expected the recipe to run, finetune or probe, as the first argument, found {argv[:1]}.")
    data, matrix, *arguments = parse_arguments(argv[1:], KINDS[argv[0]], prog=f"cross_corpus.py {argv[0]}")
    from ser_hf.scoring.matrix import render_matrix
    from ser_hf.workflows.cross_corpus import cross_corpus

    if found := cross_corpus(getattr(ser_hf, argv[0]), data, matrix, *arguments):
        show(render_matrix(found), f"All: {arguments[-1].output_dir}")


if __name__ == "__main__":
    sys.exit(run_main(main, sys.argv[1:]))
