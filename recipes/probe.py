r"""Compare scikit-learn heads on frozen features, such as an SVM on MFCCs.

    python recipes/probe.py --corpus ravdess --data_root ~/RAVDESS --protocol emobox --features classical embedding \
        --model_name_or_path openai/whisper-tiny.en --output_dir runs/ravdess/probe

Every head is fitted on every kind of features. Parameters, layer, features and head are chosen by cross-validation over
the speakers of the parts train and validation. The table shows all heads. The main score is the score of the chosen
head, which is saved (head.skops, head.json). The features are saved in vectors/*.parquet. `cross_validate.py probe …`
runs all folds of a protocol.
"""

import sys

from ser_hf.cli import run_main, start_logging
from ser_hf.escaping import show
from ser_hf.heads.probe_arguments import ProbeArguments
from ser_hf.runs.command_line import parse_arguments
from ser_hf.runs.data_arguments import DataArguments


def main(argv: list[str]) -> None:
    """Compare heads, and choose, score and save the best one."""
    start_logging()
    data, arguments = parse_arguments(argv, (DataArguments, ProbeArguments), description=__doc__)
    from ser_hf.workflows.probe import describe_probe, probe  # imports torch, which is slow, so after --help

    results = probe(data, arguments)
    show(describe_probe(results, arguments.output_dir))


if __name__ == "__main__":
    sys.exit(run_main(main, sys.argv[1:]))
