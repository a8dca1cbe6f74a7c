"""`ser-hf predict`: the options of `ser_hf.serving.predict`."""

import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from ser_hf.commands.model_options import add_model_options, load_chosen_model
from ser_hf.serving.prediction_table import FORMATS

if TYPE_CHECKING:
    from ser_hf.serving import EmotionClassifier

EXAMPLES = """
PATHS are audio files, folders, globs in quotes, or tables (.csv, .tsv, .jsonl, .parquet) with a column of paths, which
are relative to the table, and perhaps one of start and one of end in seconds. The columns of the output are path,
start, end, duration, prediction, uncertain, score_<emotion> …, error. A file that cannot be heard is a row with its
error. uncertain is empty where the model was never calibrated.

The same command goes on with an interrupted table, adds what has come to a folder since, and tries files with errors
once more; other rows stay. Several processes share the files, on CPUs and GPUs alike:
accelerate launch --multi_gpu --num_processes 4 -m ser_hf.cli predict …
So do several machines that write to one disk.
"""


def predict_command(argv: list[str]) -> int:
    """Write the emotion of every file of a folder, glob or table."""
    options = _read_options(argv)
    from ser_hf.serving.predict import describe_rows, predict

    try:
        rows, missing = predict(
            _load_shared(options),
            options.paths,
            options.output,
            model=options.model,
            dtype=options.dtype,
            columns=dict(item.split("=", 1) for item in options.columns),
            batch_size=options.batch_size,
        )
    except KeyboardInterrupt:
        print("Interrupted: the same command goes on from here.", file=sys.stderr)
        return 130
    print(describe_rows(rows, missing, options.output))
    return 0


def _read_options(argv: list[str]) -> Namespace:
    parser = ArgumentParser("ser-hf predict", "%(prog)s PATHS … --model FOLDER_OR_ID --output FILE [options]",
                            predict_command.__doc__, EXAMPLES, allow_abbrev=False)  # fmt: skip
    parser.add_argument("paths", nargs="+", metavar="PATHS", help="Files, folders, globs, tables; see below.")
    add_model_options(parser)
    parser.add_argument("--output", required=True, metavar="FILE", type=Path, help=f"Table: {', '.join(FORMATS)}.")
    parser.add_argument("--batch_size", type=int, default=8, help="Utterances that the model hears at once.")
    parser.add_argument(
        "--columns", nargs="+", default=[], metavar="OURS=THEIRS",
        help="Columns of the tables that are not guessed, as in path=recording; ours are path, start and end.",
    )  # fmt: skip
    options = parser.parse_args(argv)
    if options.batch_size < 1:
        parser.error(f"batch_size: expected 1 or more, found {options.batch_size}.")
    if options.output.suffix not in FORMATS:
        parser.error(f"output: expected a file {', '.join(FORMATS)}, found '{options.output}'.")
    if not options.output.absolute().parent.is_dir():
        parser.error(f"output: expected a folder that exists, found '{options.output.parent}'.")
    if bad := [item for item in options.columns if "=" not in item]:
        parser.error(f"columns: expected ours=theirs, found {bad}.")
    return options


def _load_shared(options: Namespace) -> "EmotionClassifier":
    """Load the model on this process' share of the machine."""
    import torch

    processes = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if options.device is None and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    elif processes > 1:  # accelerate launch gives a process one thread only
        torch.set_num_threads(max(1, os.cpu_count() // processes))
    return load_chosen_model(options)
