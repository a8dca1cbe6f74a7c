"""Recognise what the folders of a corpus stand for: partitions, languages, speakers or emotions."""

import os
import re
from collections.abc import Collection, Sequence
from typing import NoReturn

from ser_hf.corpora.cells import canonical_split
from ser_hf.corpora.labels import SYNONYMS, canonical_emotion
from ser_hf.corpora.name_forms import clean_text

LEVELS = ("partition", "language", "speaker", "session", "emotion", "*")  # * for folders without a meaning
PARTS = ("train", "validation", "test")
# Words beside the name of a partition in the name of its folder, such as train_set and test-wav.
FILLERS = {"set", "data", "wav", "wavs", "audio", "files", "split", "speech"}
LANGUAGES = {
    "arabic": "ar", "bengali": "bn", "chinese": "zh", "czech": "cs", "danish": "da", "dutch": "nl", "english": "en",
    "estonian": "et", "finnish": "fi", "french": "fr", "german": "de", "greek": "el", "hebrew": "he", "hindi": "hi",
    "hungarian": "hu", "indonesian": "id", "italian": "it", "japanese": "ja", "korean": "ko", "mandarin": "zh",
    "norwegian": "no", "persian": "fa", "polish": "pl", "portuguese": "pt", "romanian": "ro", "russian": "ru",
    "spanish": "es", "swedish": "sv", "tamil": "ta", "turkish": "tr", "ukrainian": "uk", "urdu": "ur",
    "vietnamese": "vi",
}  # fmt: skip
LANGUAGE_CODE = re.compile(rf"({'|'.join(sorted(set(LANGUAGES.values())))})([-_][A-Za-z]{{2,4}})?")
SPEAKER_WORDS = "actor|actress|speaker|spkr?|subject|subj|participant"
# A number alone may be a fold or a session as well, so it is not taken as a speaker.
SPEAKER = re.compile(rf"({SPEAKER_WORDS})[\W_]*\w+|((s|sp|p)?[fm]|s|sp|p|id)[\W_]?\d+", re.IGNORECASE)

Folders = Sequence[tuple[str, ...]]  # names of the folders between the root and each file


def parse_layout(layout: str) -> tuple[str, ...]:
    """Return the levels of the option `layout`, such as partition/emotion.

    Raises:
        ValueError: If a level is unknown, or there is not exactly one emotion.
    """
    levels = tuple(layout.strip("/ ").split("/"))
    if set(levels) - set(LEVELS) or levels.count("emotion") != 1:
        raise ValueError(
            f"layout: expected the levels of folders among {', '.join(LEVELS)}, with one emotion, such as "
            f"partition/emotion or speaker/emotion, found '{layout}'."
        )
    return levels


def recognise_layout(folders: Folders, root: str | os.PathLike) -> tuple[str, ...]:
    """Return what each level of folders is, down to the emotions.

    Args:
        folders: Names of the folders between the root and each file; files in the root are left out.
        root: Folder of the corpus, for messages.

    Raises:
        ValueError: If the folders can be understood in several ways.

    Examples:
        >>> recognise_layout([("train", "angry"), ("train", "sad"), ("test", "sad")], ".")
        ('partition', 'emotion')
        >>> recognise_layout([("s01", "angry"), ("s02", "angry"), ("s02", "sad")], ".")
        ('speaker', 'emotion')
        >>> recognise_layout([("angry", "takes"), ("sad",)], ".")
        ('emotion',)
    """
    levels: list[str] = []
    while True:
        depth = len(levels)
        names = sorted({folder[depth] for folder in folders if len(folder) > depth})
        deeper = [folder for folder in folders if len(folder) > depth + 1]
        kind = _recognise_level(names, {folder[depth + 1] for folder in deeper})
        if kind == "partition" and not deeper:
            raise ValueError(
                f"The folders {names} of '{root}' are partitions without folders of emotions below them: expected "
                "folders such as train/angry and test/angry. Use the corpus 'table' if the labels are in a table."
            )
        if kind != "partition" and any(map(partition_of, names)):
            _refuse_unclear(names, "are partitions and other folders side by side", root)
        if kind is None:
            kind = _recognise_unknown(names, folders, depth, root)
        levels.append(kind)
        if kind == "emotion":
            break
    check_depths(folders, levels, root)
    return tuple(levels + _recognise_below(folders, len(levels)))


def check_depths(folders: Folders, levels: Sequence[str], root: str | os.PathLike) -> None:
    """Check that the folders of the emotions are at one depth only.

    Raises:
        ValueError: If a folder of an emotion contains a folder with the name of an emotion beside files or folders of
            other names, as in copies of a corpus within itself.
    """
    depth = list(levels).index("emotion")
    inside = [folder for folder in folders if len(folder) > depth]
    emotions = {folder[depth] for folder in inside}
    for folder in inside:
        for name in folder[depth + 1 :]:
            alone = name == folder[depth] and all(
                name in other[depth + 1 :] for other in inside if other[: depth + 1] == folder[: depth + 1]
            )
            if name in emotions and not alone:
                raise ValueError(
                    f"Folders of emotions are at several depths under '{root}': '{name}' is at level {depth + 1}, and "
                    f"again in '{'/'.join(folder)}'. Remove the copy, or pass the folder of one copy as data_root."
                )


def partition_of(name: str) -> str | None:
    """Return "train", "validation" or "test" if the name of a folder says so.

    Examples:
        >>> partition_of("Train_Set"), partition_of("dev"), partition_of("angry")
        ('train', 'validation', None)
    """
    words = [word for word in re.split(r"[\W_\d]+", clean_text(name).lower()) if word]
    words = [word.removesuffix("set") or word for word in words if word not in FILLERS]
    found = {canonical_split(word) for word in words}
    return found.pop() if len(found) == 1 and found <= set(PARTS) else None


def language_of(name: str) -> str | None:
    """Return the BCP 47 code if the name of a folder is a language.

    Examples:
        >>> language_of("German"), language_of("pt_BR"), language_of("sad")
        ('de', 'pt-BR', None)
    """
    name = clean_text(name)
    if code := LANGUAGES.get(name.lower()):
        return code
    return name.replace("_", "-") if LANGUAGE_CODE.fullmatch(name) else None


def _recognise_level(names: Collection[str], below: Collection[str]) -> str | None:
    """Return the kind of folders of these names, with folders of the names `below` in them; None if unclear."""
    if all(map(partition_of, names)):
        return "partition"
    if _are_emotions(names):
        return "emotion"
    if below and all(map(language_of, names)):
        return "language"
    return "speaker" if _are_emotions(below) and all(map(SPEAKER.fullmatch, names)) else None


def _are_emotions(names: Collection[str]) -> bool:
    known = sum(canonical_emotion(name) in SYNONYMS for name in names)
    return bool(names) and 2 * known >= len(names)


def _recognise_below(folders: Folders, depth: int) -> list[str]:
    """Return the level below the emotions if all files are in folders of partitions or of speakers there."""
    names = {folder[depth] if len(folder) > depth else "" for folder in folders if len(folder) >= depth}
    if all(map(partition_of, names)):
        return ["partition"]
    return ["speaker"] if all(map(SPEAKER.fullmatch, names)) and len(names) > 1 else []


def _recognise_unknown(names: Sequence[str], folders: Folders, depth: int, root: str | os.PathLike) -> str:
    """Return "emotion" for folders of unknown names, "*" for a single folder around all others."""
    parents: dict[str, set[str]] = {}
    for folder in folders:
        if len(folder) > depth + 1:
            parents.setdefault(folder[depth + 1], set()).add(folder[depth])
    if len(names) == 1:
        return "*" if all(len(folder) > depth + 1 for folder in folders) else "emotion"
    if repeated := sorted(name for name, above in parents.items() if len(above) > 1):
        _refuse_unclear(names, f"contain folders of the same names, {repeated[:4]}", root)
    if _are_emotions(parents):
        _refuse_unclear(names, f"contain folders of emotions, {sorted(parents)[:4]}", root)
    return "emotion"


def _refuse_unclear(names: Sequence[str], found: str, root: str | os.PathLike) -> NoReturn:
    raise ValueError(
        f"The folders {list(names)[:6]} of '{root}' {found}: it is not clear which folders are the emotions. Say it "
        "with --layout, such as speaker/emotion, language/emotion, partition/emotion, emotion/speaker or */emotion; if "
        "one is a copy, pass the folder of the other as data_root."
    )
