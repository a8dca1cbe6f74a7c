"""Measure what the adaptation to one voice brings, by the number of clips without labels and the mix of their emotions.

    python recipes/adaptation_curve.py runs/ravdess/whisper_tiny/fold_* --data_root ~/RAVDESS --output runs/adaptation

The folders are runs of finetune.py with --voice_head true, such as the folds of cross_validate.py. Their test speakers
are adapted to with 1 to 20 of their utterances, and scored on the others; with all utterances, on the same ones. The
output folder gets adaptation.json and adaptation.png.
"""

import argparse
import sys

from ser_hf.cli import run_main
from ser_hf.escaping import markdown_table, show
from ser_hf.terminal import ParagraphFormatter


def main(argv: list[str]) -> None:
    """Print the table, and write the results and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=ParagraphFormatter)
    parser.add_argument("folders", nargs="+", help="output folders of finetune.py")
    parser.add_argument("--data_root", nargs="+", required=True, help="folder of each corpus of the runs")
    parser.add_argument("--output", required=True, help="folder for adaptation.json and adaptation.png")
    parser.add_argument("--draws", type=int, default=20, help="random draws of the clips")
    arguments = parser.parse_args(argv)
    from ser_hf.scoring.adaptation import describe_curve, measure_adaptation, write_curve  # imports torch

    curve = measure_adaptation(arguments.folders, arguments.data_root, draws=arguments.draws)
    write_curve(curve, arguments.output)
    show(f"Without adaptation: UA {100 * curve['without']:.1f}\n", markdown_table(describe_curve(curve)))


if __name__ == "__main__":
    sys.exit(run_main(main, sys.argv[1:]))
