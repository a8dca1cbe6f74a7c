"""`ser-hf predict`: the emotion of every file, in a table."""

import csv
import glob
import hashlib
import os
import sys
import zlib
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from ser_hf import __version__
from ser_hf.corpora.cells import read_cells
from ser_hf.corpora.columns import choose_columns
from ser_hf.corpora.files import audio_files
from ser_hf.corpora.table import READERS
from ser_hf.serving import EmotionClassifier, Prediction
from ser_hf.serving.backends import BACKENDS, DTYPES, find_file
from ser_hf.serving.shared_table import FORMATS, Key, Row, claim_table, finish_table, open_journal, read_rows

# All that decides what a model answers.
MODEL_FILES = (
    "config.json", "preprocessor_config.json", "recipe.yaml", "head.json", "head.skops",
    "*.safetensors", "pytorch_model*.bin",
)  # fmt: skip
EXAMPLES = """
PATHS are audio files, folders, globs in quotes, or tables (.csv, .tsv, .jsonl, .parquet) with a column of paths, which
are relative to the table, and perhaps one of start and one of end in seconds. The columns of the output are path,
start, end, duration, prediction, score_<emotion> …, error. A file that cannot be heard is a row with its error.

The same command goes on with an interrupted table, and adds what has come to a folder since; rows that are there stay.
Several processes share the files: accelerate launch --num_processes 4 -m ser_hf.cli predict …; so do several machines
that write to one disk.
"""


def predict(argv: list[str]) -> int:
    """Write the emotion of every file of a folder, glob or table."""
    options = _read_options(argv)
    rank, processes = (int(os.environ.get(name, alone)) for name, alone in (("RANK", 0), ("WORLD_SIZE", 1)))
    keys = list_audio(options.paths, dict(item.split("=", 1) for item in options.columns))
    classifier = _load_classifier(options)
    claim_table(options.output, describe_model(classifier, options.model, options.dtype))
    done = read_rows(options.output)
    mine = [key for key in keys if key not in done and owner(key, processes) == rank]
    try:
        if mine:
            with open_journal(options.output, rank) as append:
                predictions = classifier.predict_files(mine, batch_size=options.batch_size)
                for prediction in tqdm(predictions, "Predicting", len(mine), unit="file", disable=rank > 0):
                    append(to_row(prediction, classifier.emotions))
    except KeyboardInterrupt:
        print("Interrupted: the same command goes on from here.", file=sys.stderr)
        return 130
    columns = ["path", "start", "end", "duration", "prediction", *_score_columns(classifier.emotions), "error"]
    rows, missing = finish_table(options.output, keys, columns)
    print(_describe_rows(rows, missing, options.output))
    return 0


def list_audio(paths: Sequence[str], columns: Mapping[str, str]) -> list[Key]:
    """Return path, first and last second of all that files, folders, globs and tables name, each once.

    Args:
        paths: As on the command line; a file need not be there.
        columns: Field -> column of the tables, where the guess fails.

    Raises:
        FileNotFoundError: If a folder or a glob holds no audio, or none of the files is there.
        ValueError: If a table has no column of paths, or a cell makes no sense.
    """
    found = {path: list(_expand(path, columns)) for path in paths}
    if empty := [path for path, inside in found.items() if not inside]:
        raise FileNotFoundError(f"No audio in {empty}: expected audio files, folders or globs of them, or tables.")
    keys = list(dict.fromkeys(key for inside in found.values() for key in inside))
    if not any(os.path.exists(path) for path, *_ in keys):
        raise FileNotFoundError(f"None of {len(keys)} files is there (first: '{keys[0][0]}').")
    return keys


def owner(key: Key, processes: int) -> int:
    """Return which of several processes predicts a file: the same whoever asks, and whatever the other files are."""
    return zlib.crc32(repr(key).encode("utf-8", "surrogateescape")) % processes


def describe_model(classifier: EmotionClassifier, name: str, dtype: str) -> dict[str, object]:
    """Return what is kept beside a table of the model that has written it; its files make the fingerprint."""
    folder = Path(find_file(name, "config.json") or find_file(name, "head.json")).parent
    fingerprint = hashlib.sha256()
    for path in sorted(path for pattern in MODEL_FILES for path in folder.glob(pattern)):
        with path.open("rb") as file:
            fingerprint.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return {
        "model": folder.absolute().name if Path(name).is_dir() else name,
        "fingerprint": fingerprint.hexdigest(),
        "dtype": dtype,
        "emotions": classifier.emotions,
        "uncertainty_threshold": classifier.uncertainty_threshold,
        "ser_hf": __version__,
    }


def to_row(prediction: Prediction, emotions: Sequence[str]) -> Row:
    """Return the row of a prediction."""
    scores = prediction.scores or {}
    return {
        **{name: getattr(prediction, name) for name in ("path", "start", "end", "duration")},
        "prediction": prediction.emotion,
        **{name: scores.get(emotion) for name, emotion in zip(_score_columns(emotions), emotions, strict=True)},
        "error": prediction.error,
    }


def _read_options(argv: list[str]) -> Namespace:
    parser = ArgumentParser("ser-hf predict", "%(prog)s PATHS … --model FOLDER_OR_ID --output FILE [options]",
                            predict.__doc__, EXAMPLES, allow_abbrev=False)  # fmt: skip
    parser.add_argument("paths", nargs="+", metavar="PATHS", help="Files, folders, globs, tables; see below.")
    parser.add_argument("--model", required=True, metavar="FOLDER_OR_ID", help="Any audio classifier, or a probe.")
    parser.add_argument("--output", required=True, metavar="FILE", type=Path, help=f"Table: {', '.join(FORMATS)}.")
    parser.add_argument("--batch_size", type=int, default=8, help="Utterances that the model hears at once.")
    parser.add_argument("--device", help="Where the model runs; a GPU, if there is one.")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="Other than float32 changes scores a bit.")
    parser.add_argument("--backend", choices=BACKENDS, default="auto", help="auto takes an ONNX export on the CPU.")
    parser.add_argument(
        "--columns", nargs="+", default=[], metavar="OURS=THEIRS",
        help="Columns of the tables that are not guessed, as in path=recording; ours are path, start and end.",
    )  # fmt: skip
    options = parser.parse_args(argv)
    if options.output.suffix not in FORMATS:
        parser.error(f"output: expected a file {', '.join(FORMATS)}, found '{options.output}'.")
    if not options.output.absolute().parent.is_dir():
        parser.error(f"output: expected a folder that exists, found '{options.output.parent}'.")
    if bad := [item for item in options.columns if "=" not in item]:
        parser.error(f"columns: expected ours=theirs, found {bad}.")
    return options


def _load_classifier(options: Namespace) -> EmotionClassifier:
    """Load the model on this process' share of the machine."""
    device, processes = options.device, int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if device is None and torch.cuda.is_available():
        device = f"cuda:{int(os.environ.get('LOCAL_RANK', 0)) % torch.cuda.device_count()}"
    elif processes > 1:  # accelerate launch gives a process one thread only
        torch.set_num_threads(max(1, os.cpu_count() // processes))
    return EmotionClassifier.from_pretrained(options.model, device=device, dtype=options.dtype, backend=options.backend)


def _expand(name: str, columns: Mapping[str, str]) -> Iterator[Key]:
    path = Path(name).expanduser()
    if path.is_dir():
        yield from ((file, None, None) for file in audio_files(path))
    elif path.is_file() and path.suffix.lower() in READERS:
        yield from _read_paths(path, columns)
    elif glob.has_magic(name) and not path.exists():
        for match in sorted(glob.glob(str(path), recursive=True)):
            yield from _expand(match, columns)
    else:
        yield str(path), None, None


def _read_paths(table: Path, columns: Mapping[str, str]) -> Iterator[Key]:
    def choose(header: list[str]) -> dict[str, str]:
        chosen = choose_columns([*header, "emotion"], columns, table=str(table))  # which it asks for; we do not
        return {field: chosen[field] for field in ("path", "start", "end") if field in chosen}

    try:
        for number, cells in READERS[table.suffix.lower()](table, choose):
            fields = read_cells(cells, Counter())
            if "path" not in fields:
                raise ValueError(f"Row {number} of '{table}' names no file.")
            yield str(table.parent / fields["path"]), fields.get("start"), fields.get("end")
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"Cannot read '{table}': expected a table in UTF-8, found: {error}.") from error


def _score_columns(emotions: Sequence[str]) -> list[str]:
    return [f"score_{emotion}" for emotion in emotions]


def _describe_rows(rows: Mapping[Key, Row], missing: int, table: Path) -> str:
    failed = [row for row in rows.values() if row["error"] is not None]
    first = f" (first: {failed[0]['error']})" if failed else ""
    count = f"{len(rows) - len(failed)} predicted, {len(failed)} with errors{first}"
    if missing:
        return f"{count}. {missing} are left to other processes; the last one writes {table}."
    return f"{count}: {table}"
