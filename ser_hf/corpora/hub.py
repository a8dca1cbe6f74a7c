"""Read any dataset of the Hugging Face Hub or on disk that has audio and an emotion in each row."""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ser_hf.cache import cache_folder, keep_file
from ser_hf.corpora.cells import canonical_split, compile_speaker, match_speaker, read_cells, warn_of_genders
from ser_hf.corpora.columns import choose_columns
from ser_hf.corpora.files import AUDIO_EXTENSIONS
from ser_hf.corpora.utterance import Utterance

if TYPE_CHECKING:  # slow to import, and only needed here
    from datasets import Dataset, Features

SIGNATURES = {
    b"RIFF": ".wav",
    b"fLaC": ".flac",
    b"OggS": ".ogg",
    b"ID3": ".mp3",
    b"\xff\xfb": ".mp3",
    b"\xff\xf3": ".mp3",
}

logger = logging.getLogger(__name__)


def hub(
    root: str | os.PathLike,
    *,
    columns: Mapping[str, str] | None = None,
    subset: str | None = None,
    speaker_pattern: str | None = None,
) -> Iterator[Utterance]:
    """Yield the utterances of all splits of a dataset, in its order; one warning counts rows without emotion or audio.

    Audio stored inside the dataset is written to `cache_folder()` once, without decoding it. Each utterance has the
    split of its row, unless the dataset has only "train".

    Args:
        root: Dataset id on the Hub such as `user/name`, a folder written by `save_to_disk`, or a folder or file that
            `load_dataset` reads, such as Parquet.
        columns: Column of each field of `Utterance` that is guessed wrongly or not found; `path` is the audio. An empty
            column name ignores the field.
        subset: Name of the configuration, for a dataset that has several.
        speaker_pattern: Regular expression to search in each audio file name. Its first group is the speaker, or the
            whole match if it has no group. It takes precedence over the columns.

    Yields:
        One utterance per row, with the fields for which there are columns.

    Raises:
        FileNotFoundError: If there is no such dataset, or the Hub cannot be reached.
        ImportError: If the dataset consists of separate audio files and torchcodec is not installed.
        ValueError: If no column has audio or the emotion, if no row has both, or if a cell cannot be converted. Rows
            are numbered from 1 in each split.
        RuntimeError: If the cache cannot be written.
    """
    expression = None if speaker_pattern is None else compile_speaker(speaker_pattern)
    splits = _load_splits(root, subset)
    rows, silent, first = 0, 0, None
    genders: Counter[str] = Counter()
    for split, dataset in splits.items():
        given = {} if list(splits) == ["train"] else {"split": canonical_split(split)}
        for number, audio, cells in _read_dataset_rows(dataset, columns, str(root)):
            try:
                fields = read_cells(cells, genders) | given
                if expression:
                    fields["speaker"] = match_speaker(expression, os.path.basename(audio["path"] or ""))
            except ValueError as error:
                raise ValueError(f"Row {number} of '{root}', split '{split}': {error}") from error
            rows += 1
            if "emotion" in fields and (path := _keep_audio(audio)):
                yield Utterance(path=path, corpus="hub", **fields)
            else:
                silent, first = silent + 1, first or f"row {number} of '{split}'"
    if silent == rows:
        raise ValueError(f"No utterances in '{root}': expected rows with audio and emotion, found {rows} rows without.")
    warn_of_genders(genders, root)
    if silent:
        logger.warning(f"Left out {silent} of {rows} rows of '{root}' without emotion or audio (first: {first}).")


def _load_splits(root: str | os.PathLike, subset: str | None) -> "Mapping[str, Dataset]":
    import datasets

    place = Path(root).expanduser()
    if (place / "dataset_dict.json").exists():
        return datasets.load_from_disk(place)
    if (place / "state.json").exists():
        return {"train": datasets.load_from_disk(place)}
    try:
        if place.is_file():
            return datasets.load_dataset(str(place.parent), subset, data_files=place.name)
        return datasets.load_dataset(str(place if place.exists() else root), subset)
    except (FileNotFoundError, ConnectionError) as error:
        raise FileNotFoundError(
            f"No dataset '{root}': expected an id on the Hub, such as user/name, a folder of save_to_disk, or a "
            f"folder or file that load_dataset reads, such as Parquet. Found: {error}"
        ) from error
    except datasets.exceptions.DatasetGenerationError as error:
        if not isinstance(error.__cause__, ImportError):
            raise
        raise ImportError(
            f"'{root}' contains separate audio files, which the library datasets reads only with torchcodec. Use "
            "pip install torchcodec, or the corpus 'folder' (one folder per emotion) or 'table' (paths and emotions)."
        ) from error


def _read_dataset_rows(
    dataset: "Dataset", columns: Mapping[str, str] | None, name: str
) -> Iterator[tuple[int, dict, dict[str, object]]]:
    """Yield the number of each row, its audio as ``{"bytes": …, "path": …}`` and its other cells by field."""
    from datasets import Audio

    chosen = _choose(dataset.features, columns, name)
    dataset = dataset.with_format(None).select_columns(list(set(chosen.values())))
    dataset = dataset.cast_column(chosen["path"], Audio(decode=False))
    read = {field: _reader(dataset.features[column]) for field, column in chosen.items()}
    for number, row in enumerate(dataset, 1):
        cells = {field: read[field](row[column]) for field, column in chosen.items()}
        yield number, cells.pop("path") or {"bytes": None, "path": None}, cells


def _choose(features: "Features", columns: Mapping[str, str] | None, name: str) -> dict[str, str]:
    from datasets import Audio

    audio = [
        column
        for column, feature in features.items()
        if isinstance(feature, Audio) or (isinstance(feature, dict) and "bytes" in feature)
    ]
    guessed = {"path": audio[0]} if audio else {}
    chosen = choose_columns(list(features), guessed | dict(columns or {}), table=name)
    if chosen["path"] not in audio:
        raise ValueError(
            f"Expected audio in the column '{chosen['path']}' of '{name}', found {features[chosen['path']]}; columns "
            f"with audio: {audio}. For a table of paths use the corpus 'table'."
        )
    return chosen


def _reader(feature: object) -> Callable:
    from datasets import ClassLabel

    if not isinstance(feature, ClassLabel):
        return lambda cell: cell
    return lambda label: None if label is None or label < 0 else feature.int2str(label)  # -1 means unknown


def _keep_audio(audio: dict) -> str | None:
    """Return the audio file of a row: its path, or a file in the cache with the bytes of the row."""
    content, name = audio["bytes"], audio["path"]
    if not content:
        return name
    extension = os.path.splitext(name or "")[1].lower()
    if extension not in AUDIO_EXTENSIONS:
        extension = next((SIGNATURES[start] for start in SIGNATURES if content.startswith(start)), ".audio")
    digest = hashlib.sha256(content).hexdigest()
    file = cache_folder() / "hub" / digest[:2] / f"{digest[2:]}{extension}"
    if not file.exists():
        keep_file(file, content)
    return str(file)
