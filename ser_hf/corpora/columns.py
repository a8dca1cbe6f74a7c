"""Find which column of a user's table holds which field of `Utterance`."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

BLANKS = " \t\r\n\v\f\N{NO-BREAK SPACE}\N{ZERO WIDTH NO-BREAK SPACE}"  # the last one is the byte order mark

NUMBERS = ("start", "end", "age", "valence", "arousal", "dominance")  # and each votes_<emotion>

# Usual column names of each field, the most likely first; case and punctuation are ignored.
SPELLINGS = {
    "path": (
        "path", "file", "filename", "filepath", "audio", "audiopath", "audiofile", "audiofilepath",
        "wav", "wavpath", "wavfile",
    ),
    "emotion": (
        "emotion", "emo", "emotionlabel", "emotionclass", "emoclass", "label", "labels", "class", "category",
    ),
    "speaker": (
        "speaker", "speakerid", "spk", "spkid", "spkr", "spkrid", "actor", "actorid", "clientid", "subject",
        "subjectid", "participant", "participantid",
    ),
    "gender": ("gender", "sex"),
    "age": ("age",),
    "language": ("language", "lang", "locale"),
    "session": ("session", "sessionid", "dialogue", "dialogueid", "dialog", "dialogid"),
    "split": ("split", "splitset", "subset", "partition", "set"),
    "text": ("text", "transcript", "transcription", "sentence"),
    "start": ("start", "starttime", "begin"),
    "end": ("end", "endtime", "stop"),
    "valence": ("valence", "emoval"),
    "arousal": ("arousal", "activation", "emoact"),
    "dominance": ("dominance", "emodom"),
    "votes": ("votes",),
}  # fmt: skip


def choose_columns(
    header: Sequence[str],
    columns: Mapping[str, str] | None = None,
    *,
    table: str,
    required: Sequence[str] = ("path", "emotion"),
) -> dict[str, str]:
    """Return the column of each field that the table has.

    If several columns fit a field, the name listed first in `SPELLINGS` is taken; of two equal names, the first
    column. If no column holds the votes, each column `votes_<emotion>` is a field of its own.

    Args:
        header: Column names of the table.
        columns: Column of each field that is guessed wrongly or not found; an empty column name ignores the field.
        table: Name of the table, for error messages.
        required: Fields that must have a column.

    Returns:
        Column name by field.

    Raises:
        ValueError: If `columns` has an unknown field or column, or no column is found for a required field.

    Examples:
        >>> choose_columns(["File_Name", "label", "notes"], table="labels.csv")
        {'path': 'File_Name', 'emotion': 'label'}
    """
    given = {field: _find(field, name, header, table) for field, name in (columns or {}).items()}
    free = {column_key(name): name for name in reversed(header) if name not in given.values()}
    chosen = given | {
        field: next(free[spelling] for spelling in spellings if spelling in free)
        for field, spellings in SPELLINGS.items()
        if field not in given and not free.keys().isdisjoint(spellings)
    }
    if "votes" not in chosen:
        names = {name.strip(BLANKS).lower(): name for name in reversed(header)}
        chosen |= {field: name for field, name in names.items() if field.startswith("votes_")}
    if missing := [field for field in required if not chosen.get(field)]:
        spelled = " ".join(f"{field}=…" for field in missing)
        raise ValueError(
            f"Expected a column for {' and '.join(missing)} in '{table}', found {list(header)}. "
            f"Name it with --columns {spelled}"
        )
    return {field: name for field, name in chosen.items() if name}


def _find(field: str, name: str, header: Sequence[str], table: str) -> str:
    if field not in SPELLINGS:
        raise ValueError(
            f"columns: expected fields among {list(SPELLINGS)}, found '{field}'.{_suggest(field, SPELLINGS)}"
        )
    if not name or name in header:
        return name
    if alike := [column for column in header if column_key(column) == column_key(name)]:
        return alike[0]
    raise ValueError(
        f"columns: '{table}' has no column '{name}'; its columns are {list(header)}.{_suggest(name, header)}"
    )


def column_key(name: str) -> str:
    """Return the name of a column without case and punctuation."""
    return re.sub(r"[\W_]", "", name.lower())


def _suggest(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean '{near[0]}'?" if near else ""
