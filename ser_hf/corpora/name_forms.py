"""Bring labels, names of speakers and paths to one spelling, and find names that differ in spelling only."""

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from sys import intern
from typing import Any

from ser_hf.corpora.spelling import as_utf8
from ser_hf.corpora.utterance import Utterance

# Zero-width space, word joiner, byte order mark, marks of direction, soft hyphen: invisible, and never part of a name.
INVISIBLE = dict.fromkeys(map(ord, "\u200b\u2060\ufeff\u200e\u200f\u00ad"))
JOINERS = "\u200c\u200d"  # part of words and emoji, but not at their ends
NUMBER = re.compile(r"0*(\d+)(?:\.0+)?")


def clean_text(text: str) -> str:
    r"""Return a name in Unicode form NFC, without invisible characters, and with single spaces within it only.

    Examples:
        >>> clean_text("Mu\u0308ller\u00a0 \u200bAnna ")
        'Müller Anna'
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", as_utf8(text).translate(INVISIBLE)).strip(JOINERS)
    return " ".join(text.split())


def spelling_key(name: str) -> str:
    """Return a key that names share which differ in case, width, punctuation, or zeros before a number.

    Examples:
        >>> spelling_key("Speaker-01"), spelling_key("speaker 1")
        ('speaker1', 'speaker1')
    """
    name = unicodedata.normalize("NFKC", clean_text(name)).casefold()
    name = re.sub(r"\d+", lambda digits: digits[0].lstrip("0") or "0", name)
    words = " ".join(re.sub(r"[\W_]", " ", name).split())
    return re.sub(r"(?<=[^\W\d]) (?=\d)", "", words) or name


def find_near_equal(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the groups of different names that have one `spelling_key`, sorted.

    Examples:
        >>> find_near_equal(["p1", "P01", "p2", "p1"])
        [('P01', 'p1')]
    """
    groups: dict[str, set[str]] = {}
    for name in set(names):
        groups.setdefault(spelling_key(name), set()).add(name)
    return sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1)


def speaker_spelling() -> Callable[[str], str]:
    """Return a function that spells the speakers of a corpus: of 01, 1 and 1.0, the spelling that it gets first.

    Examples:
        >>> spell = speaker_spelling()
        >>> [spell(name) for name in ("07", "7", "7.0", "1.0", "01", " Anna")]
        ['07', '07', '07', '1', '1', 'Anna']
    """
    first: dict[str, str] = {}

    @lru_cache(10_000)
    def spell(name: str) -> str:
        name = intern(clean_text(name))
        if not (match := NUMBER.fullmatch(name)):
            return name
        return first.setdefault(match[1], intern(name.partition(".")[0]))

    return spell


def spell_utterances(utterances: Iterable[Utterance]) -> Iterator[Utterance]:
    """Yield utterances with one spelling of each speaker, session and emotion; see `speaker_spelling`."""
    spell = speaker_spelling()
    for utterance in utterances:
        names: dict[str, Any] = {
            "emotion": clean_text(utterance.emotion),
            "speaker": utterance.speaker and spell(utterance.speaker),
            "session": utterance.session and clean_text(utterance.session),
        }
        changed = {field: name for field, name in names.items() if name != getattr(utterance, field)}
        yield replace(utterance, **changed) if changed else utterance


def find_path(path: str) -> str:
    """Return a path as it is spelled on the disk: its names may have another Unicode form there, as on macOS.

    Args:
        path: Path of a file; it is returned unchanged if it exists, or if no other spelling of it does.
    """
    if path.isascii() or os.path.lexists(path):
        return path
    folder, name = os.path.split(path)
    if not name or folder == path:
        return path
    folder = find_path(folder)
    return os.path.join(folder, _names_in(folder).get(unicodedata.normalize("NFC", name), name))


@lru_cache(1_000)
def _names_in(folder: str) -> dict[str, str]:
    """Return the names in a folder by their form NFC."""
    if not os.path.isdir(folder):
        return {}
    return {unicodedata.normalize("NFC", name): name for name in os.listdir(folder) if not name.isascii()}
