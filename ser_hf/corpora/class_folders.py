"""Read any corpus with a folder per emotion, and levels of partitions, languages or speakers above or below it."""

import hashlib
import logging
import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ser_hf.corpora.cells import compile_speaker, match_speaker
from ser_hf.corpora.files import audio_files, is_document, list_files, pluralize
from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.layout import check_depths, language_of, parse_layout, partition_of, recognise_layout
from ser_hf.corpora.name_forms import clean_text
from ser_hf.corpora.placeholders import describe_placeholder
from ser_hf.corpora.utterance import Utterance

logger = logging.getLogger(__name__)


def folder(
    root: str | os.PathLike,
    *,
    layout: str | None = None,
    speaker_pattern: str | None = None,
    allow_missing: bool = False,
) -> Iterator[Utterance]:
    r"""Yield the utterances of a folder with one sub-folder per emotion, sorted by path.

    One line of the log says what was recognised, a warning counts the audio files outside of the folders of emotions.

    Args:
        root: Folder that contains the emotion folders; files may be at any depth below these.
        layout: What each level of folders is, such as `partition/emotion`, `speaker/emotion`, `language/emotion` or
            `emotion/speaker`; `*` is a level without a meaning. None recognises these, and refuses what is ambiguous.
        speaker_pattern: Regular expression to search in each file name. Its first group is the speaker, or the whole
            match if it has no group. Without a pattern and folders of speakers, the speakers are unknown.
        allow_missing: Accept folders of emotions whose files have no extension of audio.

    Yields:
        One utterance per file, with speaker, language and split if they are known.

    Raises:
        FileNotFoundError: If `root` is not a folder, or no sub-folder has audio files.
        ValueError: If the pattern is not a regular expression or does not match every file name, the folders are
            ambiguous, one recording is under two emotions, or an emotion has only files that are not read.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root:
        ...     Path(root, "Anger").mkdir()
        ...     Path(root, "Anger", "SM1_F10_A010.wav").touch()
        ...     [(each.emotion, each.speaker) for each in folder(root, speaker_pattern=r"(SM\d+)_")]
        [('angry', 'SM1')]
    """
    root = Path(root).expanduser()
    found = [Path(path) for path in audio_files(root)]
    inside = {path: path.relative_to(root).parts[:-1] for path in found if path.parent != root}
    if not inside:
        unread = list_files(root).describe(root)
        raise FileNotFoundError(
            f"No audio in sub-folders of '{root}': expected one per emotion, like angry/one.wav and happy/two.wav, "
            f"found {len(found)} audio files outside of sub-folders. Links to folders are not followed."
            f"{unread and ' '}{unread}"
        )
    folders = list(inside.values())
    levels = recognise_layout(folders, root) if layout is None else parse_layout(layout)
    check_depths(folders, levels, root)
    rows = [
        Utterance(path=str(path), corpus="folder", **_read_folders(names, levels))
        for path, names in inside.items()
        if len(names) > levels.index("emotion")
    ]
    if not rows:
        raise FileNotFoundError(f"No audio of '{root}' is in a folder of an emotion of the layout {'/'.join(levels)}.")
    _report(root, found, rows, levels)
    _refuse_twins(rows)
    if not allow_missing:
        _refuse_unread(root, rows, levels)
    speakers = [row.speaker for row in rows] if speaker_pattern is None else _speakers(rows, speaker_pattern)
    for row, speaker in zip(rows, speakers, strict=True):
        yield replace(row, speaker=speaker)


def _read_folders(names: Sequence[str], levels: Sequence[str]) -> dict[str, Any]:
    """Return the fields of an utterance from the names of the folders that it is in."""
    fields: dict[str, Any] = dict(zip(levels, map(clean_text, names), strict=False))
    fields.pop("*", None)
    fields["emotion"] = canonical_emotion(fields["emotion"])
    if partition := fields.pop("partition", None):
        fields["split"] = partition_of(partition) or partition
    if language := fields.get("language"):
        fields["language"] = language_of(language) or language
    return fields


def _report(root: Path, found: list[Path], rows: list[Utterance], levels: Sequence[str]) -> None:
    if others := sorted({str(path) for path in found} - {row.path for row in rows}):
        logger.warning(
            f"Skipped {len(others)} of {len(found)} audio files under '{root}' that are in no emotion folder "
            f"(first: {os.path.relpath(others[0], root)})."
        )
    counts = [pluralize(len({row.emotion for row in rows}), "emotion")]
    for field, noun in (("split", "in {} partition"), ("language", "in {} language"), ("speaker", "of {} speaker")):
        if names := {getattr(row, field) for row in rows} - {None}:
            counts.append(noun.format(len(names)) + "s" * (len(names) > 1))
    hint = " --split given uses the partitions." if "partition" in levels else ""
    logger.info(f"'{root}': {' '.join(counts)} (--layout {'/'.join(levels)}).{hint}")


def _refuse_twins(rows: list[Utterance]) -> None:
    """Refuse files of the same content under two emotions; placeholders are left to the reader of the audio."""
    sizes: dict[int, list[Utterance]] = defaultdict(list)
    for row in rows:
        if os.path.isfile(row.path):
            sizes[os.path.getsize(row.path)].append(row)
    first: dict[bytes, Utterance] = {}
    twins = []
    for alike in sizes.values():
        for row in alike if len({row.emotion for row in alike}) > 1 else ():
            twin = first.setdefault(_hash_content(row.path), row)
            if twin.emotion != row.emotion and not describe_placeholder(row.path):
                twins.append((twin.path, row.path))
    if twins:
        one, other = twins[0]
        raise ValueError(
            f"{pluralize(len(twins), 'recording')} under two emotions with the same content (first: '{one}' and "
            f"'{other}'): expected each recording under one emotion. Remove the wrong copies."
        )


def _hash_content(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()


def _refuse_unread(root: Path, rows: list[Utterance], levels: Sequence[str]) -> None:
    """Refuse emotions all of whose files are left out because of their extension, or because they are not here."""
    depth = list(levels).index("emotion")
    listing = list_files(root)
    lost: dict[str, list[str]] = defaultdict(list)
    for path in [*listing.others, *listing.special, *listing.absent]:
        names = Path(path).relative_to(root).parts[:-1]
        if len(names) > depth and not is_document(path):
            lost[canonical_emotion(names[depth])].append(path)
    if missing := sorted(set(lost) - {row.emotion for row in rows}):
        unread = listing.describe(root)
        raise ValueError(
            f"None of the files of {missing} is read: expected audio in every emotion folder. {unread} Convert the "
            "files: ffmpeg -i IN OUT.wav; or pass --allow_missing true to go on without them."
        )


def _speakers(rows: list[Utterance], pattern: str) -> list[str]:
    expression = compile_speaker(pattern)
    names = [unicodedata.normalize("NFC", os.path.basename(row.path)) for row in rows]
    if missed := [name for name in names if not expression.search(name)]:
        raise ValueError(
            f"speaker_pattern '{pattern}' does not match {len(missed)} of {len(names)} file names "
            f"(first: '{missed[0]}'): expected a speaker in every file name."
        )
    return [match_speaker(expression, name) for name in names]
