"""Convert the cells of a user's table into fields of `Utterance`."""

import json
import logging
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from sys import intern
from typing import Any

from ser_hf.corpora.columns import BLANKS
from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.name_forms import clean_text

# Source: SPLIT_KEYWORDS of https://github.com/huggingface/datasets, where "eval" also means test
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "devel", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
EXPECTED = {
    "path": "a file name (the corpus 'hub' reads audio stored in a table)",
    **dict.fromkeys(("start", "end"), "seconds such as 1.5"),
    **dict.fromkeys(("valence", "arousal", "dominance"), "a number such as 1.5"),
    "age": "years",
    "votes": "number of annotators per emotion, such as 2 or {'sad': 2}",
}

# How programs write that a value is missing: pandas, R, databases, spreadsheets and people.
MISSING = {"nan", "none", "null", "nil", "nat", "na", "n/a", "<na>", "#n/a", "#null!", "#ref!", "#value!", "#name?"}
MISSING |= {"-", "--", "\N{EN DASH}", "\N{EM DASH}", "?", "."}

logger = logging.getLogger(__name__)


def read_cells(cells: Mapping[str, object], genders: Counter[str]) -> dict[str, Any]:
    """Convert the cells of a row into arguments of `Utterance`; empty cells are left out.

    Args:
        cells: Cell of each field (see `choose_columns`): text, or a number or object from JSON or Parquet.
        genders: Counter to which unrecognised gender cells are added, for `warn_of_genders`.

    Returns:
        Value of each field. Start and end are in seconds, age in years. If the times of the row make no sense, the
        reason is the field `problem`.

    Raises:
        ValueError: If a cell of another field cannot be converted.

    Examples:
        >>> read_cells({"path": "a.wav", "emotion": "Anger", "gender": "f", "start": "1.5", "speaker": ""}, Counter())
        {'path': 'a.wav', 'emotion': 'angry', 'gender': 'female', 'start': 1.5}
    """
    fields: dict[str, Any] = {}
    if votes := {name.removeprefix("votes_"): cell for name, cell in cells.items() if name.startswith("votes_")}:
        cells = {name: cell for name, cell in cells.items() if not name.startswith("votes_")} | {"votes": votes}
    for field, cell in cells.items():
        try:
            if field == "votes":
                fields[field] = _votes(cell)
            elif value := _text(cell) if field in ("path", "text") else clean_text(_text(cell)):
                fields[field] = READERS[field](value)
        except (ValueError, TypeError) as error:
            found = f"{cell!r:.60}" if isinstance(cell, str | int | float | dict) else type(cell).__name__
            reason = f"{field}: expected {EXPECTED.get(field, 'text')}, found {found}."
            if field in ("start", "end"):
                fields["problem"] = reason
                continue
            way_out = "" if field in ("path", "emotion") else f" To ignore the column: --columns {field}="
            raise ValueError(f"{reason}{way_out}") from error
    if "gender" in fields and fields["gender"] is None:
        genders[_text(cells["gender"])] += 1
    if "problem" in fields:
        return {field: value for field, value in fields.items() if field not in ("start", "end")}
    start, end = fields.get("start") or 0.0, fields.get("end")
    if start < 0 or (end is not None and end <= start):
        fields["problem"] = f"expected 0 <= start < end in seconds, found start {start:g} and end {end}."
    return fields


def warn_of_genders(genders: Counter[str], table: str | os.PathLike) -> None:
    """Log one warning that counts the gender cells that `read_cells` did not recognise.

    Args:
        genders: The counter passed to `read_cells`.
        table: Name of the table, for the message.
    """
    if genders:
        found = ", ".join(f"'{cell}' {count} times" for cell, count in genders.most_common(5))
        logger.warning(
            f"{genders.total()} genders of '{table}' were not recognised: expected {', '.join(GENDERS)}, found {found}."
        )


def read_number(text: str) -> float | None:
    """Convert a cell of a corpus table to a number; None if it holds none.

    Examples:
        >>> read_number("2.5"), read_number(""), read_number("NaN")
        (2.5, None, None)
    """
    try:
        return _number(text)
    except ValueError:
        return None


def canonical_split(name: str) -> str:
    """Return "train", "validation" or "test" for their usual spellings; other names are returned unchanged.

    Examples:
        >>> canonical_split("Dev"), canonical_split("Test2")
        ('validation', 'Test2')
    """
    return SPLITS.get(name.lower(), intern(name))


def compile_speaker(pattern: str) -> re.Pattern:
    """Compile the regular expression that finds the speaker in a file name.

    Raises:
        ValueError: If `pattern` is not a valid regular expression.
    """
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"speaker_pattern '{pattern}' is not a regular expression: {error}.") from error


def match_speaker(expression: re.Pattern, name: str) -> str:
    r"""Return the speaker found in a file name: the first group of the pattern, or the whole match if it has no group.

    Args:
        expression: Pattern compiled by `compile_speaker`.
        name: File name to search.

    Raises:
        ValueError: If the pattern does not match, or matches an empty text.

    Examples:
        >>> match_speaker(compile_speaker(r"(SM\d+)_"), "SM1_F10_A010.wav")
        'SM1'
    """
    match = expression.search(name)
    speaker = match and match[1 if expression.groups else 0]
    if not speaker:
        raise ValueError(f"speaker_pattern '{expression.pattern}' finds no speaker in '{name}'.")
    return intern(speaker)


def _text(cell: object) -> str:
    """Return a cell as text, which is empty if the value is missing."""
    if isinstance(cell, str):
        cell = cell.strip(BLANKS)
        return "" if clean_text(cell).casefold() in MISSING else cell
    if cell is None or cell != cell:
        return ""
    if not isinstance(cell, int | float):
        raise TypeError
    whole = isinstance(cell, float) and cell.is_integer()  # integer columns with gaps become floats
    return str(int(cell) if whole else cell)


def _number(text: str) -> float | None:
    # 1,234 may be a thousand as well, unless the table has another delimiter (see `table_rows.py`)
    value = float(text.replace(",", ".") if re.fullmatch(r"[-+]?(\d+,(\d\d?|\d{4,})|0,\d{3})", text) else text)
    if math.isinf(value):
        raise ValueError
    return None if math.isnan(value) else value


def _age(text: str) -> int | None:
    years = _number(text)
    return None if years is None else int(years)


def _gender(text: str) -> str | None:
    return GENDERS.get(text.lower())


def _emotion(text: str) -> str:
    return intern(canonical_emotion(text))


def _votes(cell: Any) -> dict[str, float] | None:
    if isinstance(cell, str):
        cell = json.loads(_text(cell) or "{}")
    votes: dict[str, float] = {}
    for emotion, count in dict(cell or {}).items():  # Parquet: pairs, or a struct with None
        count = _number(_text(count) or "0") or 0.0
        if count < 0:
            raise ValueError
        if count:
            emotion = _emotion(str(emotion))
            votes[emotion] = votes.get(emotion, 0) + (int(count) if count.is_integer() else count)
    return votes or None


GENDERS = dict.fromkeys(("f", "female", "frau", "w", "woman"), "female")
GENDERS |= dict.fromkeys(("m", "male", "man", "mann"), "male")
READERS: dict[str, Callable[[str], object]] = {
    **dict.fromkeys(("path", "text"), str),
    **dict.fromkeys(("speaker", "language", "session"), intern),
    **dict.fromkeys(("start", "end", "valence", "arousal", "dominance"), _number),
    "emotion": _emotion,
    "gender": _gender,
    "split": canonical_split,
    "age": _age,
}
