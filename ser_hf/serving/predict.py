"""The emotion of every file, in a table."""

import csv
import glob
import hashlib
import os
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from tqdm import tqdm

from ser_hf import __version__
from ser_hf.corpora.cells import read_cells
from ser_hf.corpora.columns import choose_columns
from ser_hf.corpora.files import audio_files
from ser_hf.corpora.table import READERS
from ser_hf.serving.backends import ONNX_FILES, find_file
from ser_hf.serving.classifier import EmotionClassifier, Prediction
from ser_hf.serving.prediction_table import Key, Row, claim_table, finish_table, open_journal, read_rows

# All that decides what a model answers, beside its weights.
MODEL_FILES = ("config.json", "preprocessor_config.json", "head.json", "head.skops")
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


def predict(
    classifier: EmotionClassifier,
    paths: Sequence[str],
    output: Path,
    *,
    model: str,
    dtype: str = "float32",
    columns: Mapping[str, str] = MappingProxyType({}),
    batch_size: int = 8,
) -> tuple[dict[Key, Row], int]:
    """Write a table with the emotion of every file; an interrupted table is completed, several processes share it.

    Args:
        classifier: The model.
        paths: Audio files, folders, globs and tables, as for `list_audio`.
        output: The table, .csv, .jsonl or .parquet.
        model: Folder or Hub id of the classifier, to tell its rows from those of another.
        dtype: Type that the classifier computes in.
        columns: Field -> column of the tables in `paths`, where the guess fails.
        batch_size: Utterances in a batch.

    Returns:
        All rows by path, start and end, and how many are left to other processes.

    Raises:
        OSError: If no path leads to audio, or the table holds the rows of another model.
        ValueError: If a table in `paths` cannot be read.
        RuntimeError: If another process of the same rank is writing the table.
    """
    rank, processes = (int(os.environ.get(name, alone)) for name, alone in (("RANK", 0), ("WORLD_SIZE", 1)))
    keys = {spell_key(key): key for key in list_audio(paths, columns)}
    claim_table(output, describe_model(classifier, model, dtype))
    done = {key for key, row in read_rows(output).items() if row["error"] is None}
    mine = [keys[key] for key in keys if key not in done and owner(key, processes) == rank]
    if mine:
        with open_journal(output, rank) as append:
            predictions = classifier.predict_files(mine, batch_size=batch_size)
            for prediction in tqdm(predictions, "Predicting", len(mine), unit="file", disable=rank > 0):
                append(to_row(prediction, classifier))
    scores = _score_columns(classifier.emotions)
    header = ["path", "start", "end", "duration", "prediction", "uncertain", *scores, "error"]
    return finish_table(output, list(keys), header)


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


def spell_key(key: Key) -> Key:
    """Return a key as its row has it."""
    path, start, end = key
    return spell(path), start, end


def spell(text: str) -> str:
    r"""Return a text in which those bytes of a file name that are not UTF-8 are escaped, as no table can hold them.

    Examples:
        >>> spell(os.fsdecode(b"caf\xe9.wav"))
        'caf\\xe9.wav'
    """
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def owner(key: Key, processes: int) -> int:
    """Return which of several processes predicts a file: the same whoever asks, and whatever the other files are."""
    return zlib.crc32(repr(key).encode()) % processes


def describe_model(classifier: EmotionClassifier, name: str, dtype: str) -> dict[str, object]:
    """Return what is kept beside a table of the model that has written it; the files that run make the fingerprint."""
    folder = Path(find_file(name, "config.json") or find_file(name, "head.json")).parent
    weights = (f"{ONNX_FILES[dtype]}*",) if classifier.backend == "onnx" else WEIGHTS
    fingerprint = hashlib.sha256()
    for path in sorted(path for pattern in (*MODEL_FILES, *weights) for path in folder.glob(pattern)):
        with path.open("rb") as file:
            fingerprint.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return {
        "model": folder.absolute().name if Path(name).is_dir() else name,
        "fingerprint": fingerprint.hexdigest(),
        "dtype": dtype,
        "backend": classifier.backend,
        "preprocessing": classifier.hearing.describe(),
        "emotions": classifier.emotions,
        "uncertainty_threshold": classifier.uncertainty_threshold,
        "ser_hf": __version__,
    }


def to_row(prediction: Prediction, classifier: EmotionClassifier) -> Row:
    """Return the row of a prediction."""
    scores, emotions, threshold = prediction.scores or {}, classifier.emotions, classifier.uncertainty_threshold
    judged = scores and threshold is not None
    return {
        **{name: getattr(prediction, name) for name in ("path", "start", "end", "duration")},
        "path": spell(prediction.path),
        "prediction": prediction.emotion,
        "uncertain": scores[prediction.emotion] < threshold if judged else None,
        **{name: scores.get(emotion) for name, emotion in zip(_score_columns(emotions), emotions, strict=True)},
        "error": prediction.error and spell(prediction.error),
    }


def _expand(name: str, columns: Mapping[str, str]) -> Iterator[Key]:
    path = Path(name).expanduser()
    if path.is_dir():
        yield from ((file, None, None) for file in audio_files(path, allow_outside=True))
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
            try:
                fields = read_cells(cells, Counter())
            except ValueError as error:
                raise ValueError(f"Row {number} of '{table}': {error}") from error
            if "path" not in fields:
                raise ValueError(f"Row {number} of '{table}' names no file.")
            yield str(table.parent / fields["path"]), fields.get("start"), fields.get("end")
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"Cannot read '{table}': expected a table in UTF-8, found: {error}.") from error


def _score_columns(emotions: Sequence[str]) -> list[str]:
    return [f"score_{emotion}" for emotion in emotions]


def describe_rows(rows: Mapping[Key, Row], missing: int, table: Path) -> str:
    """Return what to print at the end."""
    failed = [row for row in rows.values() if row["error"] is not None]
    first = f" (first: {failed[0]['error']})" if failed else ""
    count = f"{len(rows) - len(failed)} predicted, {len(failed)} with errors{first}"
    if missing:
        return f"{count}. {missing} are left to other processes; the last one writes {table}."
    return f"{count}: {table}"
