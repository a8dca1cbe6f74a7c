"""Define `ser-hf predict`, the options of `ser_hf.serving.predict`."""

import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from ser_hf.commands.model_options import add_model_options, load_chosen_model
from ser_hf.escaping import show
from ser_hf.models.location import check_location
from ser_hf.serving.prediction_table import FORMATS

if TYPE_CHECKING:
    from ser_hf.serving import EmotionClassifier

EXAMPLES = """
PATHS are audio files, folders, globs in quotes, or tables (.csv, .tsv, .jsonl, .parquet, .xlsx) with a column of
paths (relative to the table) and optional columns of start and end in seconds. The columns of the output are path,
start, end, duration, missing, prediction, uncertain, score_<emotion> …, error. Unreadable and silent files become error
rows; if there are no other rows, the exit code is 1. "missing" is the number of seconds that the header of the file
promises and the file lacks; it is empty if the number is unknown, as in an Ogg file without its end, which is logged.
"uncertain" is empty if the model is not calibrated.

Run the same command again to resume an interrupted table: it adds new files of the folders and retries files with
errors; other rows are kept. Several processes can share the files, on CPUs or GPUs:
accelerate launch --multi_gpu --num_processes 4 -m ser_hf.cli predict …
Several machines can share them too if they write to the same disk.
"""


def predict_command(argv: list[str]) -> int:
    """Write a table with the emotion of every file of a folder, glob or table."""
    options = _read_options(argv)
    from ser_hf.serving.audio_list import list_audio

    files = list_audio(options.paths, dict(item.split("=", 1) for item in options.columns))
    check_location(options.model)
    from ser_hf.serving.predict import describe_rows, predict

    try:
        rows, missing = predict(
            _load_shared(options),
            files,
            options.output,
            model=options.model,
            dtype=options.dtype,
            batch_size=options.batch_size,
        )
    except KeyboardInterrupt:
        show("Interrupted: run the same command again to resume.", file=sys.stderr)
        return 130
    show(describe_rows(rows, missing, options.output))
    return int(not missing and all(row["error"] is not None for row in rows.values()))


def _read_options(argv: list[str]) -> Namespace:
    parser = ArgumentParser("ser-hf predict", "%(prog)s PATHS … --model FOLDER_OR_ID --output FILE [options]",
                            predict_command.__doc__, EXAMPLES, allow_abbrev=False)  # fmt: skip
    parser.add_argument("paths", nargs="+", metavar="PATHS", help="Audio files, folders, globs or tables; see below.")
    add_model_options(parser)
    parser.add_argument("--output", required=True, metavar="FILE", type=Path, help=f"Table: {', '.join(FORMATS)}.")
    parser.add_argument("--batch_size", type=int, default=8, help="Utterances per batch.")
    parser.add_argument(
        "--columns", nargs="+", default=[], metavar="FIELD=COLUMN",
        help="Names of columns that are not detected, such as path=recording; fields are path, start and end.",
    )  # fmt: skip
    options = parser.parse_args(argv)
    if options.batch_size < 1:
        parser.error(f"batch_size: expected 1 or more, found {options.batch_size}.")
    if options.output.suffix not in FORMATS:
        parser.error(f"output: expected the extension {' or '.join(FORMATS)}, found '{options.output}'.")
    if not options.output.absolute().parent.is_dir():
        parser.error(f"output: expected a file in an existing folder, found '{options.output}'.")
    if bad := [item for item in options.columns if "=" not in item]:
        parser.error(f"columns: expected FIELD=COLUMN, found {bad}.")
    return options


def _load_shared(options: Namespace) -> "EmotionClassifier":
    """Load the model on the GPU of this process, if there is one."""
    import torch

    if options.device is None and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    return load_chosen_model(options)
