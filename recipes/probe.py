r"""Compare scikit-learn heads on frozen features, such as an SVM on MFCCs.

    python recipes/probe.py --corpus ravdess --data_root ~/RAVDESS --protocol emobox --features classical embedding \
        --model_name_or_path openai/whisper-tiny.en --output_dir runs/ravdess/probe

Every head is fitted on every kind of features. Parameters, layer, features and head are chosen by cross-validation over
the speakers of the parts train and validation. The table shows all heads. The main score is the score of the chosen
head, which is saved (head.skops, head.json). The features are saved in vectors/*.parquet. `cross_validate.py probe …`
runs all folds of a protocol.
"""

import sys

from ser_hf.cli import run_main
from ser_hf.commands.training import probe_command


def main(argv: list[str]) -> None:
    """Compare heads, and choose, score and save the best one."""
    probe_command(argv, prog="probe.py", description=__doc__)


if __name__ == "__main__":
    sys.exit(run_main(main, sys.argv[1:]))
