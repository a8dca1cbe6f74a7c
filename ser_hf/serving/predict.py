"""Predict the emotion of every file, and write a table."""

import hashlib
import json
import math
import os
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from ser_hf import __version__
from ser_hf.cache import explain_full_disk
from ser_hf.corpora.files import pluralize
from ser_hf.corpora.spelling import as_utf8, spell
from ser_hf.escaping import one_line
from ser_hf.runs.weights import hash_paths
from ser_hf.serving.backends import ONNX_FILES
from ser_hf.serving.checkpoint_files import find_file
from ser_hf.serving.classifier import EmotionClassifier
from ser_hf.serving.emotion_segments import Segment
from ser_hf.serving.prediction import Prediction
from ser_hf.serving.prediction_table import (
    Key,
    Known,
    Row,
    claim_table,
    finish_table,
    open_journal,
    read_rows,
    rename_input,
)
from ser_hf.serving.segment_summary import MIXED, Summary, summarize_speakers
from ser_hf.tasks import load_task

# The files that determine the predictions of a model, apart from its weights.
MODEL_FILES = ("config.json", "preprocessor_config.json", "head.json", "head.skops")
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


def predict(
    classifier: EmotionClassifier,
    files: Sequence[Key],
    output: Path,
    *,
    model: str,
    dtype: str = "float32",
    batch_size: int = 8,
    speech: str = "energy",
    known: Mapping[Key, Known] | None = None,
) -> tuple[dict[Key, Row], int]:
    """Write a table with the emotion of every file; run it again to complete an interrupted table.

    Several processes can write one table together: each predicts its share of the files, according to the environment
    variables RANK and WORLD_SIZE.

    Args:
        classifier: The model.
        files: Path, first and last second of each, such as `audio_list.list_audio` returns; None for the whole file.
            With the number of a channel, see `audio_list.split_channels`, there is a column "channel".
        output: The table, .csv, .json, .jsonl or .parquet.
        model: Folder or Hub id of the classifier; it identifies the model of the rows.
        dtype: Type that the classifier computes in.
        batch_size: Utterances per batch.
        speech: How the speech of recordings is detected, see `EmotionClassifier.predict_files`.
        known: Other columns of the files, such as `audio_list.list_rows` returns. A column with the name of one of the
            table is named `input_<name>`.

    Returns:
        All rows by their keys, and the number of rows that other processes have not finished.

    Raises:
        OSError: If the table has rows of another model, or of channels and of their means.
        RuntimeError: If another process with the same rank is writing the table.
    """
    keys = {spell_key(key): key for key in files}
    scores = _score_columns(classifier.emotions)
    header = ["path", "start", "end", "duration", "missing", "prediction", "uncertain", *scores, "error"]
    with explain_full_disk(output.parent):
        channels = "separate" if any(len(key) == 4 for key in files) else "mean"
        claim_table(output, identify_model(classifier, model, dtype, speech) | {"channels": channels})
        _predict_share(classifier, keys, output, batch_size=batch_size, speech=speech)
        others = {spell_key(key): _rename_columns(columns, header) for key, columns in (known or {}).items()}
        return finish_table(output, list(keys), header, others)


def _predict_share(
    classifier: EmotionClassifier, keys: Mapping[Key, Key], output: Path, *, batch_size: int, speech: str
) -> None:
    """Append the rows of the files of this process that the table lacks.

    Args:
        classifier: The model.
        keys: Keys of the rows -> keys of the files.
        output: The table.
        batch_size: As for `predict`.
        speech: As for `predict`.
    """
    rank, processes = (int(os.environ.get(name, alone)) for name, alone in (("RANK", 0), ("WORLD_SIZE", 1)))
    done = {key for key, row in read_rows(output).items() if row["error"] is None}
    mine = [keys[key] for key in keys if key not in done and owner(key, processes) == rank]
    if not mine:
        return
    with open_journal(output, rank) as append:
        predictions = classifier.predict_files(mine, batch_size=batch_size, speech=speech)
        bar = tqdm(predictions, "Predicting", len(mine), unit="file") if rank == 0 else predictions
        for prediction in bar:
            append(to_row(prediction, classifier))


def _rename_columns(known: Known, header: Sequence[str]) -> Known:
    """Rename the columns that would be taken for columns of the table, whose "overlap" and "channel" are no texts."""

    def rename(name: str, value: str | float | bool | None) -> str:
        taken = name in header or name.startswith("score_") or name == "channel"
        taken |= name == "overlap" and not isinstance(value, bool)
        return rename_input(name, known) if taken else name

    return {rename(name, value): value for name, value in known.items()}


def spell_key(key: Key) -> Key:
    """Return a key as it is written in its row, with `spell` applied to the path."""
    return (spell(key[0]), *key[1:])


def owner(key: Key, processes: int) -> int:
    """Return the rank of the process that predicts a file; it depends only on the file and the number of processes."""
    return zlib.crc32(repr(key).encode()) % processes


def identify_model(classifier: EmotionClassifier, name: str, dtype: str, speech: str = "energy") -> dict[str, object]:
    """Return what identifies the model of a table; the fingerprint is a hash of the files that change its predictions.

    Args:
        classifier: The model.
        name: Its folder or Hub id.
        dtype: Type that it computes in.
        speech: How the speech of recordings is detected.
    """
    folder = Path(find_file(name, "config.json") or find_file(name, "head.json")).parent  # type: ignore[arg-type]
    weights = (f"{ONNX_FILES[dtype]}*",) if classifier.backend == "onnx" else WEIGHTS
    hashes = hash_paths(path for pattern in (*MODEL_FILES, *weights) for path in folder.glob(pattern))
    return {
        "model": folder.absolute().name if Path(name).is_dir() else name,
        "fingerprint": hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest(),
        "dtype": dtype,
        "backend": classifier.backend,
        "speech": speech,
        "preprocessing": classifier.hearing.describe(),
        "task": classifier.task,
        "emotions": classifier.emotions,
        "uncertainty_threshold": classifier.uncertainty_threshold,
        "ser_hf": __version__,
    }


def to_row(prediction: Prediction, classifier: EmotionClassifier) -> Row:
    """Return the table row of a prediction."""
    scores, emotions = prediction.scores or {}, classifier.emotions
    return {
        "path": spell(prediction.path),
        "start": prediction.start,
        "end": prediction.end,
        **({} if prediction.channel is None else {"channel": prediction.channel}),
        "duration": prediction.duration and round(prediction.duration, 6),  # microseconds
        "missing": None
        if prediction.missing is None or math.isnan(prediction.missing)
        else round(prediction.missing, 6),
        "prediction": prediction.emotion,
        "uncertain": prediction.uncertain,
        **{name: scores.get(emotion) for name, emotion in zip(_score_columns(emotions), emotions, strict=True)},
        "error": prediction.error and as_utf8(prediction.error),
    }


def _score_columns(emotions: Sequence[str]) -> list[str]:
    return [f"score_{emotion}" for emotion in emotions]


def describe_rows(rows: Iterable[Row]) -> str:
    """Count the rows per emotion, and those with errors, in one line for the terminal.

    Examples:
        >>> answered = {"error": None, "score_sad": 0.9, "score_happy": 0.1}
        >>> describe_rows([answered | {"prediction": name} for name in ("sad", "mixed", "sad")])
        '2 sad, 1 mixed'
    """
    rows = list(rows)
    failed = [row for row in rows if row["error"] is not None]
    counts = Counter(_name_answer(row) for row in rows if row["error"] is None)
    parts = [f"{count} {one_line(name)}" for name, count in counts.most_common()]
    if failed:
        parts.append(f"{pluralize(len(failed), 'error')} (first: {failed[0]['error']})")
    return ", ".join(parts)


def _name_answer(row: Row) -> str:
    """Return the emotion of a row, or "predicted" if the task has ratings."""
    name = str(row["prediction"])
    return name if name == MIXED or f"score_{name}" in row else "predicted"


def summarize_rows(rows: Iterable[Row], task: str) -> list[Summary]:
    """Return a summary of each speaker of rows with the columns speaker, start and end; rows with errors do not count.

    Args:
        rows: Rows in any order.
        task: What is recognised, a key of `ser_hf.tasks.TASKS`.
    """
    rows = sorted(rows, key=lambda row: str(row["path"]))
    several = len({row["path"] for row in rows}) > 1  # a speaker of one recording is not that of another one
    segments = []
    for row in rows:
        if row["error"] is None and row.get("speaker"):
            scores = {name.removeprefix("score_"): value for name, value in row.items() if name.startswith("score_")}
            start = float(row["start"] or 0.0)
            speaker, emotion = str(row["speaker"]), str(row["prediction"])
            if several:
                speaker = f"{Path(str(row['path'])).name}, {speaker}"
            score = max(scores.values())  # type: ignore[type-var]
            end = start + float(row["duration"])  # type: ignore[arg-type]
            segments.append(
                Segment(start, end, emotion, score, bool(row["uncertain"]), scores, speaker=speaker)  # type: ignore[arg-type]
            )
    segments.sort(key=lambda segment: segment.start)
    return summarize_speakers(segments, load_task(task).answer)
