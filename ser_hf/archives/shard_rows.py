"""The rows of a shard, and its part: what `ser-hf predict` or `ser-hf timeline` gives for each file."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

import pyarrow
from pyarrow import parquet

from ser_hf.archives.fetching import Fetched, fetch
from ser_hf.archives.job import Job, Settings
from ser_hf.archives.listing import Audio
from ser_hf.archives.store import Store
from ser_hf.corpora.spelling import as_utf8
from ser_hf.data.audio import read_header
from ser_hf.serving import EmotionClassifier
from ser_hf.serving.predict import to_row
from ser_hf.serving.prediction_table import Row

Answer = tuple[str, Row]  # path of a file, and one of its rows


def predict_shard(
    classifier: EmotionClassifier,
    source: Store,
    files: Sequence[Audio],
    settings: Settings,
    crashed: Mapping[str, str],
) -> list[Row]:
    """Return the rows of the files of a shard, sorted by key and start.

    Each file has at least one row. Files that are missing, unreadable, silent or without speech have an error row.

    Args:
        classifier: The model.
        source: Store of the files.
        files: The files, sorted by key.
        settings: What determines the rows.
        crashed: Key -> error of files that must not be decoded.

    Raises:
        OSError: If the store or the disk fails.
    """
    unusable = dict(crashed)  # key -> error
    fetched: dict[str, Fetched] = {}  # by path

    def paths() -> Iterator[str]:
        for found in fetch(source, (file for file in files if file.key not in crashed), folder):
            if found.problem:
                unusable[found.key] = found.problem
                _remove_copy(found.path, folder)
            else:
                fetched[found.path] = found
                yield found.path

    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for path, answers in groupby(ROWS[settings.rows](classifier, paths(), settings), key=itemgetter(0)):
            key = fetched.pop(path).key
            for _, row in answers:
                rows.append(_rename(row, path, key))
            _remove_copy(path, folder)
    rows += [_error_row(key, error) for key, error in unusable.items()]
    order = {file.key: number for number, file in enumerate(files)}
    return sorted(rows, key=lambda row: order[row["key"]])  # type: ignore[index]


def write_part(rows: Iterable[Row], job: Job) -> bytes:
    """Return the Parquet file of rows; equal rows give equal bytes."""
    numbers = ["start", "end", "duration", "missing"]
    scores = [f"score_{emotion}" for emotion in job.model["emotions"]]
    schema = pyarrow.schema(
        [
            ("key", pyarrow.string()),
            *((name, pyarrow.float64()) for name in numbers),
            ("prediction", pyarrow.string()),
            ("uncertain", pyarrow.bool_()),
            *((name, pyarrow.float64()) for name in scores),
            ("error", pyarrow.string()),
        ],
        metadata={"ser_hf": job.identity()},
    )
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def _utterances(classifier: EmotionClassifier, paths: Iterable[str], settings: Settings) -> Iterator[Answer]:
    for prediction in classifier.predict_files(paths, batch_size=settings.batch_size, speech=settings.speech):
        yield prediction.path, to_row(prediction, classifier)


def _windows(classifier: EmotionClassifier, paths: Iterable[str], settings: Settings) -> Iterator[Answer]:
    def parts() -> Iterator[tuple[str, float | None, float | None]]:
        for path in paths:
            try:
                duration = read_header(path).duration
            except (ValueError, OSError):
                yield path, None, None  # gives the error row
                continue
            yield from ((path, start, end) for start, end in classifier.hearing.list_windows(duration))

    for prediction in classifier.predict_files(parts(), batch_size=settings.batch_size, speech=settings.speech):
        yield prediction.path, to_row(prediction, classifier)


def _segments(classifier: EmotionClassifier, paths: Iterable[str], settings: Settings) -> Iterator[Answer]:
    for path in paths:
        rows: list[Row] = []
        try:
            options = {"window": settings.window, "hop": settings.hop, "speech": settings.speech}
            for segment in classifier.timeline(path, **options):  # type: ignore[arg-type]
                row: Row = {f"score_{emotion}": score for emotion, score in segment.scores.items()}
                row |= {"start": segment.start, "end": segment.end, "prediction": segment.emotion}
                row["duration"] = round(segment.end - segment.start, 6)
                row["uncertain"] = None if classifier.uncertainty_threshold is None else segment.uncertain
                rows.append(row)
            rows = rows or [{"error": f"'{path}' contains no speech."}]
        except (ValueError, OSError, RuntimeError) as error:
            rows = [{"error": as_utf8(str(error))}]
        yield from ((path, row) for row in rows)


def _rename(row: Row, path: str, key: str) -> Row:
    """Replace the path on this machine by the key, also in the message of the error."""
    error = row.get("error")
    return row | {"key": key, "error": error and str(error).replace(as_utf8(path), key)}


def _error_row(key: str, error: str) -> Row:
    return {"key": key, "error": error}


def _remove_copy(path: str, folder: str) -> None:
    if path.startswith(folder + os.sep) and os.path.exists(path):
        os.remove(path)


ROWS: dict[str, Callable[[EmotionClassifier, Iterable[str], Settings], Iterator[Answer]]] = {
    "utterances": _utterances,
    "windows": _windows,
    "segments": _segments,
}
