"""Utterances -> a `datasets.DatasetDict` whose audio can be decoded, at 16 kHz, in the splits' order."""

import csv
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from datasets import Audio, ClassLabel, Dataset, DatasetDict, Features, Value
from tqdm import tqdm

from ser_hf.corpora import Utterance
from ser_hf.data.audio import SAMPLING_RATE, audio_duration, cached_audio, load_audio
from ser_hf.data.splits import Split

MIN_DURATION = 0.25  # seconds; shorter audio crashes SpecAugment, under 25 ms also the convolutions

FEATURES = Features(
    {
        "audio": Value("string"),  # becomes an Audio column below; a list of paths cannot be made one directly
        "path": Value("string"),
        "index": Value("int64"),
        "split": Value("string"),
        "corpus": Value("string"),
        "emotion": Value("string"),
        "speaker": Value("string"),
        "gender": Value("string"),
        "start": Value("float64"),
        "end": Value("float64"),
        "duration": Value("float64"),
        "text": Value("string"),
        "intensity": Value("string"),
        "repetition": Value("int64"),
        "vocal_channel": Value("string"),
    }
)


@dataclass(frozen=True)
class AudioProblem:
    """Tell what was done about an utterance whose audio is not as it should be.

    Attributes:
        path: The file.
        action: "skipped", "cut" or "padded".
        reason: Why, in words.
    """

    path: str
    action: str
    reason: str


def prepare_audio(split: Split, *, max_duration: float) -> tuple[Split, list[AudioProblem]]:
    """Read every header, decode every utterance once into the cache, and set aside what cannot be used.

    Args:
        split: Utterances by "train", "validation" and "test". Splitting comes first, so that a bad file does not
            move the others.
        max_duration: Longer utterances are cut to their first `max_duration` seconds.

    Returns:
        The split with the usable utterances and their durations, and a list of the others: unreadable, empty and
        non-finite audio is skipped, long audio cut, and very short audio padded later.

    Raises:
        ValueError: If a part has no usable utterance.
    """
    prepared, problems = {}, []
    with ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool:
        for part, utterances in split.items():
            outcomes = pool.map(lambda utterance: _prepare(utterance, max_duration), utterances)
            outcomes = list(tqdm(outcomes, f"Reading {part} audio", len(utterances), unit="file", leave=False))
            prepared[part] = [utterance for utterance, _ in outcomes if utterance is not None]
            problems += [problem for _, problem in outcomes if problem is not None]
            if not prepared[part]:
                raise ValueError(
                    f"Expected readable audio in {part}, but none of its {len(utterances)} utterances is. "
                    f"The first: {problems[-1].reason}"
                )
    return prepared, problems


def _prepare(utterance: Utterance, max_duration: float) -> tuple[Utterance | None, AudioProblem | None]:
    problem = None
    try:
        start, end = utterance.start or 0.0, utterance.end
        length = audio_duration(utterance.path)
        end = length if end is None else min(end, length)
        if end - start > max_duration:
            reason = f"lasts {end - start:.1f} s, of which the first {max_duration:g} s are used"
            problem = AudioProblem(utterance.path, "cut", reason)
            end = start + max_duration
            utterance = replace(utterance, start=start, end=end)
        elif 0 < end - start < MIN_DURATION:
            reason = f"lasts {end - start:.3f} s, padded with silence to {MIN_DURATION} s in training"
            problem = AudioProblem(utterance.path, "padded", reason)
        if not cached_audio(utterance.path, start=utterance.start, end=utterance.end).exists():
            load_audio(utterance.path, start=utterance.start, end=utterance.end)
    except (ValueError, OSError) as error:
        return None, AudioProblem(utterance.path, "skipped", str(error))
    return replace(utterance, duration=end - start), problem


def write_problems(problems: list[AudioProblem], path: str | os.PathLike) -> None:
    """Write a list of audio problems as a CSV table with the columns path, action and reason."""
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "action", "reason"))
        rows.writerows((problem.path, problem.action, problem.reason) for problem in problems)


def build_dataset(split: Split, root: str | os.PathLike) -> DatasetDict:
    """Return a split's utterances as a DatasetDict.

    Args:
        split: Prepared utterances (with durations) by "train", "validation" and "test".
        root: The corpus' folder; the column `path` is relative to it.

    Returns:
        One dataset per part, with the columns of `Utterance`, an `audio` column cast to 16 kHz (not decoded),
        `label` (ClassLabel over the sorted emotions of the training part), `index` (row) and `split`.
    """
    emotions = sorted({utterance.emotion for utterance in split["train"]})
    parts = {}
    for part, utterances in split.items():
        rows = [
            asdict(utterance)
            | {"audio": utterance.path, "path": _relative(utterance.path, root), "index": i, "split": part}
            for i, utterance in enumerate(utterances)
        ]
        columns = {name: [row[name] for row in rows] for name in FEATURES}
        dataset = Dataset.from_dict(columns, features=FEATURES)
        dataset = dataset.add_column("label", [emotions.index(row["emotion"]) for row in rows])
        dataset = dataset.cast_column("label", ClassLabel(names=emotions))
        parts[part] = dataset.cast_column("audio", Audio(sampling_rate=SAMPLING_RATE, decode=False))
    return DatasetDict(parts)


def _relative(path: str, root: str | os.PathLike) -> str:
    return Path(os.path.relpath(path, Path(root).expanduser())).as_posix()
