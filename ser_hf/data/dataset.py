"""From a split to a `datasets.DatasetDict`, after a check that the audio of every utterance is usable."""

import hashlib
import json
import math
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow
from datasets import Audio, ClassLabel, Dataset, DatasetDict, Features, Value, concatenate_datasets
from tqdm import tqdm

from ser_hf.cache import cache_folder, keep_file
from ser_hf.corpora import Utterance
from ser_hf.corpora.spelling import spell, unspell
from ser_hf.cpus import usable_cpus
from ser_hf.data.audio import SAMPLING_RATE, decode_audio, load_audio, read_header
from ser_hf.data.decoder import MOST_MISSING, describe_missing
from ser_hf.data.hearing import RAW, UNTRIMMED, Hearing
from ser_hf.data.segment_fit import describe_misfit
from ser_hf.data.silence import remove_pauses, trim_ends
from ser_hf.data.splits import Split

MIN_DURATION = 0.25  # seconds; SpecAugment fails on shorter audio
SHORTEST = 0.05  # seconds; encoders fail on shorter audio: SEW needs 45 ms, wav2vec2-BERT 35 ms, wav2vec2 25 ms
BLOCK = 10_000  # rows that are converted at a time
MOST_SKIPPED = 0.1  # share of the utterances
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


@dataclass(frozen=True)
class AudioProblem:
    """Describe how an utterance with unusual audio was handled.

    Attributes:
        path: Path of the file.
        action: "skipped" or "too short" (the utterance is left out), "partial", "windowed" or "padded" (it is used).
        reason: Explanation for the user.
    """

    path: str
    action: str
    reason: str


def prepare_audio(
    split: Split,
    hearing: Hearing = UNTRIMMED,
    *,
    min_duration: float = 0.0,
    raw: Collection[str] = (),
) -> tuple[Split, list[AudioProblem]]:
    """Decode every utterance once, store it in the cache, and remove the utterances that cannot be used.

    Unreadable, empty, silent and otherwise useless audio is skipped, and a file that lacks its end is partial; audio
    shorter than `min_duration` or 50 ms is too short. Outside the raw parts, audio shorter than 0.25 s will be padded
    and audio longer than a window will be split into windows.

    Args:
        split: Utterances by "train", "validation" and "test". The split is made before this step, so that an
            unreadable file does not change the part of the other utterances.
        hearing: Preparation of the parts outside `raw`. Trimming changes the start and end of an utterance.
        min_duration: Minimum duration in seconds; shorter utterances are removed.
        raw: Parts whose audio is used as the stock pipeline receives it, neither trimmed nor split into windows.

    Returns:
        The split with the usable utterances and their durations, and the list of utterances with unusual audio; see
        `check_prepared`.
    """

    def prepare(utterance: Utterance, whole: bool) -> tuple[Utterance | None, AudioProblem | None]:
        if utterance.problem:
            return None, AudioProblem(utterance.path, "skipped", utterance.problem)
        end = utterance.end
        try:
            utterance = _measure_utterance(utterance, RAW if whole else hearing)
        except (ValueError, OSError) as error:
            reason = str(error)
            return None, AudioProblem(utterance.path, "skipped", reason)
        assert utterance.duration is not None
        lasts = f"lasts {utterance.duration:.3f} s"
        if utterance.duration < min_duration:
            reason = f"{lasts}, less than the minimum of {min_duration:g} s"
            return None, AudioProblem(utterance.path, "too short", reason)
        if utterance.duration < SHORTEST:
            reason = f"{lasts}, less than the {SHORTEST} s that encoders need"
            return None, AudioProblem(utterance.path, "too short", reason)
        header = read_header(utterance.path)
        if end is not None and (lacking := end - header.duration) > MOST_MISSING:
            reason = f"'{utterance.path}' ends {lacking:.2f} s before the end of the segment at {end:g} s"
            return utterance, AudioProblem(utterance.path, "partial", reason)
        if end is None and header.missing:
            reason = f"'{utterance.path}' {describe_missing(header.duration, header.missing)}"
            return utterance, AudioProblem(utterance.path, "partial", reason)
        if whole:
            return utterance, None
        if utterance.duration < MIN_DURATION:
            reason = f"{lasts}, padded with silence to {MIN_DURATION} s in training"
            return utterance, AudioProblem(utterance.path, "padded", reason)
        if len(windows := hearing.list_windows(utterance.duration)) > 1:
            reason = f"{lasts}, split into {len(windows)} windows of {hearing.max_duration:g} s"
            return utterance, AudioProblem(utterance.path, "windowed", reason)
        return utterance, None

    prepared, problems = {}, []
    with ThreadPoolExecutor(2 * usable_cpus()) as pool:
        for part, utterances in split.items():
            running = pool.map(prepare, utterances, repeat(part in raw))
            outcomes = list(tqdm(running, f"Reading {part} audio", len(utterances), unit="file", leave=False))
            prepared[part] = [utterance for utterance, _ in outcomes if utterance is not None]
            problems += [problem for _, problem in outcomes if problem is not None]
    return prepared, problems


def check_prepared(split: Split, prepared: Split, problems: Sequence[AudioProblem], *, allow_missing: bool) -> None:
    """Check that enough utterances are usable after `prepare_audio`.

    Args:
        split: The split before `prepare_audio`.
        prepared: The split with the usable utterances.
        problems: The problems that `prepare_audio` found.
        allow_missing: Accept missing emotions, and more than `MOST_SKIPPED` of the utterances skipped.

    Raises:
        ValueError: If a part is empty, an emotion has no usable utterance, too many utterances were skipped, or too
            many segments are not within their files.
    """
    skipped = [problem for problem in problems if problem.action == "skipped"]
    before, after = ([u for part in parts.values() for u in part] for parts in (split, prepared))
    causes = [problem for problem in problems if problem.action in ("skipped", "too short")]
    first = f" (first: {causes[0].reason})" if causes else ""
    if not allow_missing and (misfit := describe_misfit([(row.path, row.start, row.end) for row in before])):
        raise ValueError(f"{misfit} --allow_missing true goes on with what is left.")
    for part in prepared:
        if not prepared[part]:
            count = f"none of its {len(split[part])} utterances is usable"
            raise ValueError(f"Expected usable audio in {part}, but {count}{first}.")
    if allow_missing:
        return
    way_out = "Mend the files, leave them out, or pass --allow_missing true to go on without them."
    if lost := sorted({u.emotion for u in before} - {u.emotion for u in after}):
        raise ValueError(f"No utterance of {lost} has usable audio{first}. {way_out}")
    if len(skipped) > MOST_SKIPPED * len(before):
        raise ValueError(f"{len(skipped)} of {len(before)} utterances were skipped{first}. {way_out}")


def _measure_utterance(utterance: Utterance, hearing: Hearing) -> Utterance:
    """Decode an utterance into the cache; return it with its duration and, after trimming, its new start and end."""
    start, end = utterance.start, utterance.end
    if hearing.trim != "none":
        first, last = trim_ends(load_audio(utterance.path, start=start, end=end), hearing.speech)
        start, end = (start or 0.0) + first, (start or 0.0) + last
    header = read_header(utterance.path)
    if end is not None or header.missing:
        end = min(header.duration, math.inf if end is None else end)
    waveform = load_audio(utterance.path, start=start, end=end)
    if hearing.trim == "pauses":
        waveform = remove_pauses(waveform, hearing.speech)
    return replace(utterance, start=start, end=end, duration=len(waveform) / SAMPLING_RATE)


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
