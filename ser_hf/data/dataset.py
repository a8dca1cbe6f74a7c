"""From a split to a `datasets.DatasetDict` with one row per window of an utterance."""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow
from datasets import Audio, ClassLabel, Dataset, DatasetDict, Features, Value, concatenate_datasets

from ser_hf.cache import cache_folder, keep_file
from ser_hf.corpora import Utterance
from ser_hf.corpora.spelling import spell, unspell
from ser_hf.data.audio import SAMPLING_RATE, decode_audio, load_audio
from ser_hf.data.hearing import RAW, UNTRIMMED, Hearing
from ser_hf.data.silence import remove_pauses
from ser_hf.data.splits import Split

BLOCK = 10_000  # rows that are converted at a time
FIELDS = {item.name for item in fields(Utterance)}

FEATURES = Features(
    {
        "audio": Value("string"),  # cast to an Audio column later: from_dict cannot build one from a list of paths
        "index": Value("int64"),
        "utterance": Value("int64"),
        "window_start": Value("float64"),
        "window_end": Value("float64"),
        "pauses": Value("bool"),
        "speech": Value("string"),
        "raw": Value("bool"),
        **dict.fromkeys(("start", "end", "duration", "valence", "arousal", "dominance"), Value("float64")),
        **dict.fromkeys(("age", "repetition"), Value("int64")),
        **dict.fromkeys(
            ("path", "corpus", "emotion", "speaker", "gender", "language", "session", "style", "split", "text",
             "intensity", "vocal_channel", "votes"),
            Value("string"),
        ),
    }
)  # fmt: skip


class Label(NamedTuple):
    """Define the column `label` of a dataset.

    Attributes:
        feature: Type of the column.
        of: Computes the value of an utterance.
    """

    feature: Any
    of: Callable[[Utterance], Any]


def build_dataset(
    split: Split,
    roots: Mapping[str, str | os.PathLike],
    hearing: Hearing = UNTRIMMED,
    *,
    raw: Collection[str] = (),
    label: Label | None = None,
) -> DatasetDict:
    """Return the utterances of a split as a `DatasetDict` with one dataset per part and one row per window.

    Args:
        split: Utterances with durations, from `prepare_audio`, by "train", "validation" and "test".
        roots: Folder of each corpus by name; the column `path` is relative to it.
        hearing: As for `prepare_audio`.
        raw: Parts that are neither trimmed nor split into windows.
        label: The column `label`; None for the index of the emotion in the sorted emotions of the training part.

    Returns:
        Datasets whose rows are windows of utterances; most utterances are one window. The columns are the fields of
        `Utterance` and: `audio` (at 16 kHz, not decoded; its path as `spell` spells it), `label`, `split` (name of the
        part), `index` (number of the row), `utterance` (number of the utterance within the part), `window_start` and
        `window_end` (seconds from `start`), `duration` (of the window in seconds), `pauses` (whether long pauses are
        kept), `speech` (how pauses are detected) and `raw` (whether the part is in `raw`).
    """
    label = label or _label_emotions(split["train"])
    roots = {corpus: Path(root).expanduser() for corpus, root in roots.items()}
    parts = {}
    for part, utterances in split.items():
        rows = [
            (i, window)
            for i, utterance in enumerate(utterances)
            for window in (RAW if part in raw else hearing).list_windows(utterance.duration)  # type: ignore[arg-type]
        ]
        blocks = []
        for start in range(0, len(rows) or 1, BLOCK):  # lists of all values would take more memory than the dataset
            block = rows[start : start + BLOCK]
            speech = [utterances[i] for i, _ in block]
            columns = {name: [getattr(utterance, name) for utterance in speech] for name in FEATURES if name in FIELDS}
            columns |= {
                "audio": [spell(row.path) for row in speech],
                "path": [spell(Path(os.path.relpath(row.path, roots[row.corpus])).as_posix()) for row in speech],
                "votes": [row.votes and json.dumps(row.votes, sort_keys=True) for row in speech],
                "split": [part] * len(block),
                "index": list(range(start, start + len(block))),
                "utterance": [i for i, _ in block],
                "window_start": [first for _, (first, _) in block],
                "window_end": [last for _, (_, last) in block],
                "duration": [last - first for _, (first, last) in block],
                "pauses": [hearing.trim != "pauses" or part in raw] * len(block),
                "speech": [hearing.speech] * len(block),
                "raw": [part in raw] * len(block),
            }
            columns["label"] = [label.of(utterance) for utterance in speech]
            rows_of_block = Dataset.from_dict(columns, features=Features(FEATURES | {"label": label.feature}))
            audio = Audio(sampling_rate=SAMPLING_RATE, decode=False)
            blocks.append(_map_to_file(rows_of_block.cast_column("audio", audio)))
        parts[part] = concatenate_datasets(blocks)
    return DatasetDict(parts)


def _map_to_file(dataset: Dataset) -> Dataset:
    """Return a dataset whose rows are in a file of the cache, from which all processes read what they need."""
    content = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(content, dataset.data.schema) as stream:
        stream.write_table(dataset.data.table)
    buffer = content.getvalue()
    path = cache_folder() / "rows" / f"{hashlib.blake2b(buffer, digest_size=16).hexdigest()}.arrow"
    if not path.exists() or path.stat().st_size != buffer.size:
        keep_file(path, buffer)
    return Dataset.from_file(str(path))


def _label_emotions(utterances: list[Utterance]) -> Label:
    emotions = sorted({utterance.emotion for utterance in utterances})
    return Label(ClassLabel(names=emotions), lambda utterance: emotions.index(utterance.emotion))


def load_row(row: dict) -> np.ndarray:
    """Return the waveform ``(T,)`` float32 at 16 kHz of a row from `build_dataset`.

    Rows of raw parts are decoded from the file; all others are read from the cache, rounded to 16 bits.

    Raises:
        ValueError: If the file cannot be decoded.
    """
    path, start, end = unspell(row["audio"]["path"]), row["start"], row["end"]
    if row["raw"]:
        return decode_audio(path, start=start, end=end)
    window = row["window_start"], row["window_end"]
    if row["pauses"]:
        return load_audio(path, start=start, end=end, window=window)
    first, last = (round(second * SAMPLING_RATE) for second in window)
    return remove_pauses(load_audio(path, start=start, end=end), row["speech"])[first:last]
