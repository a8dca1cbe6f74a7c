"""Compare finished runs: a Markdown table of their scores, paired differences to the first run, and a figure.

    python recipes/compare.py runs/ravdess/probe_classical runs/ravdess/whisper_tiny --output compare.png

A difference is computed on the test utterances that both runs have, with a 95 % interval from a bootstrap over
speakers, paired by speaker, and the p-value of a permutation test over speakers. A gain is shown if the interval is
above 0. The tables of `ser-hf evaluate --conditions standard` are compared condition by condition. A table of
anyone's predictions (columns path, prediction) is compared like a run:

    python recipes/compare.py runs/ravdess/whisper_tiny --predictions theirs.csv
"""

import sys

from ser_hf.cli import run_main
from ser_hf.commands.compare import compare_command


def main(argv: list[str]) -> None:
    """Print the tables and draw the figure."""
    compare_command(argv, prog="compare.py", description=__doc__)


if __name__ == "__main__":
    sys.exit(run_main(main, sys.argv[1:]))
