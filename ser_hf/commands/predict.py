"""Define `ser-hf predict`, the options of `ser_hf.serving.predict`."""

import glob
import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from ser_hf.commands.model_options import (
    add_channel_options,
    add_model_options,
    add_speech_option,
    check_channel_options,
    load_chosen_model,
)
from ser_hf.commands.outputs import check_outputs
from ser_hf.escaping import one_line, show
from ser_hf.models.location import check_location
from ser_hf.serving.prediction_table import FORMATS
from ser_hf.serving.segment_files import clock
from ser_hf.terminal import ParagraphFormatter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ser_hf.serving import EmotionClassifier
    from ser_hf.serving.prediction import Prediction
    from ser_hf.serving.prediction_table import Key, Known, Row

FIELDS = ("path=", "start=", "end=")  # of --columns
EXAMPLES = """
PATHS are audio files, folders, globs in quotes, tables (.csv, .tsv, .jsonl, .parquet, .xlsx) with a column of paths
(relative to the table) and optional columns of start and end in seconds, or RTTM beside its recordings. The columns of
the output are path, start, end, the other columns of the input, duration, missing, prediction, uncertain,
score_<emotion> …, error. With --speakers or an RTTM, there is a row for each turn, with the columns speaker and
overlap. With --channels separate, there is a row for each channel, with the columns channel and speaker.

Audio of more than 30 s is answered by its speech: the scores are means over its segments (see ser-hf timeline), and the
prediction is "mixed" if no emotion has 60 % of the speech. Unreadable and silent files, and recordings without speech,
become error rows; if there are no other rows, the exit code is 1. "missing" is the number of seconds that the header of
the file promises and the file lacks; it is empty if the number is unknown, as in an Ogg file without its end, which is
logged. "uncertain" is empty if the model is not calibrated.

Run the same command again to resume an interrupted table: it adds new files of the folders and retries files with
errors; other rows are kept. Several processes can share the files, on CPUs or GPUs:

  accelerate launch --multi_gpu --num_processes 4 -m ser_hf.cli predict …

Several machines can share them too if they write to the same disk.
"""


def predict_command(argv: list[str]) -> int:
    """Predict the emotion of every file of a folder, glob or table: a table, or lines on the terminal."""
    options = _read_options(argv)
    if options.output:
        check_outputs([options.output], _list_inputs(options))
    from ser_hf.serving.audio_list import list_rows, split_channels, split_turns

    files = list_rows(options.paths, dict(item.split("=", 1) for item in options.columns))
    if options.speakers:
        files = split_turns(files, options.speakers)
    if options.channels == "separate":
        files = split_channels(files, options.channel_names)
    check_location(options.model)
    from ser_hf.serving.predict import describe_rows, summarize_rows
    from ser_hf.serving.segment_summary import describe_speaker

    classifier = _load_shared(options)
    try:
        rows, missing = (_write_table if options.output else _print_rows)(classifier, files, options)
    except KeyboardInterrupt:
        show("Interrupted: run the same command again to resume." if options.output else "", file=sys.stderr)
        return 130
    if options.channels == "mean":  # else each row is a speaker
        for summary in summarize_rows(rows, classifier.task):
            show(describe_speaker(summary, of="audio"))
    text = describe_rows(rows)
    if missing:
        text += f". {missing} are not finished by other processes; the last process writes {options.output}."
    elif options.output:
        text += f": {options.output}"
    show(text)
    return int(not missing and all(row["error"] is not None for row in rows))


def _list_inputs(options: Namespace) -> list[str]:
    found = [*options.paths, *filter(None, [options.speakers])]
    for path in map(os.path.expanduser, options.paths):
        found += glob.glob(path, recursive=True)
    return found


def _write_table(
    classifier: "EmotionClassifier", files: "Mapping[Key, Known]", options: Namespace
) -> tuple[list["Row"], int]:
    """Write the table; return all its rows, and the number of those that other processes have not finished."""
    from ser_hf.serving.predict import predict

    rows, missing = predict(
        classifier,
        list(files),
        options.output,
        model=options.model,
        dtype=options.dtype,
        batch_size=options.batch_size,
        speech=options.speech,
        known=files,
    )
    return list(rows.values()), missing


def _print_rows(
    classifier: "EmotionClassifier", files: "Mapping[Key, Known]", options: Namespace
) -> tuple[list["Row"], int]:
    """Print a line for each file, and all scores if there is only one; return the rows, of which none is missing."""
    from ser_hf.serving.predict import to_row
    from ser_hf.serving.segment_summary import MIXED

    width = max(map(len, [*map(one_line, classifier.emotions), "emotion", MIXED]))
    show(f"{'emotion':{width}}  score  file" if classifier.rating_scale is None else "ratings  file")
    rows = []
    predictions = classifier.predict_files(list(files), batch_size=options.batch_size, speech=options.speech)
    for prediction, known in zip(predictions, files.values(), strict=True):
        show(_describe(prediction, known, width), flush=True)
        rows.append(to_row(prediction, classifier) | known)
    if len(rows) == 1 and classifier.rating_scale is None and prediction.scores:
        show(
            "All scores: "
            + ", ".join(f"{one_line(name)} {100 * value:.1f} %" for name, value in prediction.scores.items())
        )
    return rows, 0


def _describe(prediction: "Prediction", known: "Known", width: int) -> str:
    place = one_line(prediction.path)
    if (prediction.start, prediction.end) != (None, None):
        end = "end" if prediction.end is None else clock(prediction.end, 2)
        place += f" {clock(prediction.start or 0.0, 2)} to {end}"
    if known.get("speaker"):
        place += f"  {one_line(str(known['speaker']))}{' (overlap)' * bool(known.get('overlap'))}"
    if prediction.error is not None:
        return f"{'error':{width}}         {place}: {one_line(prediction.error)}"
    assert prediction.emotion is not None and prediction.scores is not None
    score = prediction.scores.get(prediction.emotion)
    percent = "" if score is None else f"{100 * score:3.0f} %"
    note = "  uncertain" if prediction.uncertain else ""
    return f"{one_line(prediction.emotion):{width}}  {percent:5}  {place}{note}"


def _read_options(argv: list[str]) -> Namespace:
    parser = ArgumentParser("ser-hf predict", "%(prog)s PATHS … --model FOLDER_OR_ID [--output FILE] [options]",
                            predict_command.__doc__, EXAMPLES, formatter_class=ParagraphFormatter,
                            allow_abbrev=False)  # fmt: skip
    parser.add_argument("paths", nargs="+", metavar="PATHS", help="Audio files, folders, globs or tables; see below.")
    add_model_options(parser)
    parser.add_argument(
        "--output", metavar="FILE", type=Path, help=f"Table: {', '.join(FORMATS)}; without it, lines on the terminal."
    )
    parser.add_argument(
        "--speakers", metavar="FILE",
        help="Who speaks when, a row for each turn: RTTM, JSON of whisperX or pyannote, or a table of start, end and "
        "speaker.",
    )  # fmt: skip
    add_channel_options(parser)
    parser.add_argument("--batch_size", type=int, default=8, help="Utterances per batch.")
    add_speech_option(parser)
    parser.add_argument(
        "--columns", nargs="+", default=[], metavar="FIELD=COLUMN",
        help="Names of columns that are not detected, such as path=recording; fields are path, start and end.",
    )  # fmt: skip
    options = parser.parse_args(argv)
    check_channel_options(parser, options)
    if options.batch_size < 1:
        parser.error(f"batch_size: expected 1 or more, found {options.batch_size}.")
    if options.output and options.output.suffix not in FORMATS:
        parser.error(f"output: expected the extension {' or '.join(FORMATS)}, found '{options.output}'.")
    if options.output and not options.output.absolute().parent.is_dir():
        parser.error(f"output: expected a file in an existing folder, found '{options.output}'.")
    if bad := [item for item in options.columns if not item.startswith(FIELDS)]:
        parser.error(f"columns: expected {'COLUMN, '.join(FIELDS)}COLUMN, found {bad}.")
    return options


def _load_shared(options: Namespace) -> "EmotionClassifier":
    """Load the model on the GPU of this process, if there is one."""
    import torch

    if options.device is None and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    return load_chosen_model(options)
