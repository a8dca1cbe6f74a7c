r"""Compare frozen features and scikit-learn heads: would an SVM on MFCCs do?

    python recipes/probe.py --corpus ravdess --data_root ~/RAVDESS --protocol emobox --features classical embedding \
        --model_name_or_path openai/whisper-tiny.en --output_dir runs/ravdess/probe

Every head is fitted on every kind of features. Parameters, layer, features and head are chosen by cross-validation over
the training speakers (those of train and validation); the table shows all, the headline is the chosen one, which is
kept as a checkpoint (head.skops, head.json). vectors/*.parquet hold the features. `cross_validate.py probe …` runs all
folds of a protocol.
"""

import logging
import sys

from ser_hf.heads.probe_arguments import ProbeArguments
from ser_hf.runs.command_line import parse_arguments
from ser_hf.runs.data_arguments import DataArguments


def main(argv: list[str]) -> None:
    """Compare, choose, score and keep."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("ser_hf").setLevel(logging.INFO)
    try:
        data, arguments = parse_arguments(argv, (DataArguments, ProbeArguments), description=__doc__)
        from ser_hf.workflows.probe import describe_probe, probe  # after --help, which does not wait for torch

        results = probe(data, arguments)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"error: {error}")
    print(describe_probe(results, arguments.output_dir))


if __name__ == "__main__":
    main(sys.argv[1:])
