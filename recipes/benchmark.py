"""Compare the speed of data loading and inference with the usual libraries, and print tables.

    python recipes/benchmark.py --corpus ravdess --data_root ~/RAVDESS
    python recipes/benchmark.py --corpus ravdess --data_root ~/RAVDESS --model FOLDER

The first table is about decoding, mini-batches and memory (see benchmark_data.py). With `--model`, a second table shows
the speed of inference with a checkpoint (see benchmark_inference.py). With `--serving`, the only table shows the speed
of a service (see benchmark_serving.py).
"""

import argparse
import sys
from pathlib import Path

from ser_hf.cache import cache_folder

FILES_OF_INFERENCE = 200


def main(argv: list[str]) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="synthetic", help="name of the corpus, as in the recipes")
    parser.add_argument("--data_root", default=cache_folder() / "corpora" / "synthetic", help="folder of the corpus")
    parser.add_argument("--model", type=Path, help="folder of a checkpoint, to measure inference too")
    parser.add_argument("--serving", type=Path, help="folder of a checkpoint, to measure ser-hf serve and nothing else")
    arguments = parser.parse_args(argv)
    if arguments.serving:
        from benchmark_serving import compare_serving

        compare_serving(arguments.serving, arguments.corpus, arguments.data_root)
        return
    from benchmark_data import choose, compare_data_path  # imports torch, which is slow, so after --help
    from benchmark_inference import compare_inference

    paths = compare_data_path(arguments.corpus, arguments.data_root)
    if arguments.model:
        compare_inference(arguments.model, choose(paths, FILES_OF_INFERENCE), paths)


if __name__ == "__main__":
    main(sys.argv[1:])
