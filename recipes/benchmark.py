"""Compare the speed of data loading, inference and training with the usual libraries, and print tables.

    python recipes/benchmark.py --corpus ravdess --data_root ~/RAVDESS
    python recipes/benchmark.py --corpus ravdess --data_root ~/RAVDESS --model FOLDER
    python recipes/benchmark.py --training wav2vec2-base whisper-tiny --check recipes/training_speed.json

The first table is about decoding, mini-batches and memory (see benchmark_data.py). With `--model`, a second table shows
the speed of inference with a checkpoint (see benchmark_inference.py). With `--training` or `--serving`, the only table
shows the speed of training (see benchmark_training.py) or of a service (see benchmark_serving.py).
"""

import argparse
import sys
from pathlib import Path

from ser_hf.cache import cache_folder
from ser_hf.cli import run_main
from ser_hf.terminal import ParagraphFormatter

FILES_OF_INFERENCE = 200


def main(argv: list[str]) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=ParagraphFormatter)
    parser.add_argument("--corpus", default="synthetic", help="name of the corpus, as in the recipes")
    parser.add_argument("--data_root", default=cache_folder() / "corpora" / "synthetic", help="folder of the corpus")
    parser.add_argument("--model", type=Path, help="folder of a checkpoint, to measure inference too")
    parser.add_argument("--serving", type=Path, help="folder of a checkpoint, to measure ser-hf serve and nothing else")
    parser.add_argument("--training", nargs="+", metavar="MODEL", help="measure training: wav2vec2-base whisper-tiny …")
    parser.add_argument("--utterances", type=int, default=64, help="training: utterances of an epoch")
    parser.add_argument("--repeats", type=int, default=3, help="training: measured epochs")
    parser.add_argument("--check", type=Path, help="training: fail if a ratio of this file has fallen by 15 %%")
    parser.add_argument("--write", type=Path, help="training: file for the results, for --check")
    arguments = parser.parse_args(argv)
    if arguments.serving:
        from benchmark_serving import compare_serving

        compare_serving(arguments.serving, arguments.corpus, arguments.data_root)
        return
    if arguments.training:
        measure_training(arguments)
        return
    from benchmark_data import choose, compare_data_path  # imports torch, which is slow, so after --help
    from benchmark_inference import compare_inference

    paths = compare_data_path(arguments.corpus, arguments.data_root)
    if arguments.model:
        compare_inference(arguments.model, choose(paths, FILES_OF_INFERENCE), paths)


def measure_training(arguments: argparse.Namespace) -> None:
    """Print the table of training, and compare it with an earlier one."""
    from benchmark_gate import check_ratios, list_uncompared
    from benchmark_training import MODELS, compare_training

    if unknown := set(arguments.training) - set(MODELS):
        sys.exit(f"--training: expected {', '.join(MODELS)}, found {', '.join(sorted(unknown))}.")
    results = compare_training(arguments.training, arguments.utterances, arguments.repeats, arguments.write)
    if not arguments.check:
        return
    for line in list_uncompared(results["rows"], arguments.check):
        print(line)
    if falls := check_ratios(results["rows"], arguments.check):
        sys.exit("\n".join(falls))


if __name__ == "__main__":
    sys.exit(run_main(main, sys.argv[1:]))
