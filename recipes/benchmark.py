"""Measure our data path, and our inference, beside the stock way, in one run on one machine; prints tables.

    python recipes/benchmark.py --corpus ravdess --data_root ~/RAVDESS
    python recipes/benchmark.py --corpus ravdess --data_root ~/RAVDESS --model FOLDER

The first table is that of decoding, batches and memory (see benchmark_data.py). With `--model`, a checkpoint's answers
per second come in a second one (see benchmark_inference.py).
"""

import argparse
import sys
from pathlib import Path

from ser_hf.cache import cache_folder

FILES_OF_INFERENCE = 200


def main(argv: list[str]) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="synthetic", help="as in the recipes")
    parser.add_argument("--data_root", default=cache_folder() / "corpora" / "synthetic", help="the corpus' folder")
    parser.add_argument("--model", type=Path, help="a checkpoint's folder: measure inference too")
    arguments = parser.parse_args(argv)
    from benchmark_data import choose, compare_data_path  # after --help, which does not wait for torch
    from benchmark_inference import compare_inference

    paths = compare_data_path(arguments.corpus, arguments.data_root)
    if arguments.model:
        compare_inference(arguments.model, choose(paths, FILES_OF_INFERENCE), paths)


if __name__ == "__main__":
    main(sys.argv[1:])
