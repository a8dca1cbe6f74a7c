"""Which column of a table that somebody else made holds which field of `Utterance`."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

BLANKS = " \t\r\n\v\f\N{NO-BREAK SPACE}\N{ZERO WIDTH NO-BREAK SPACE}"  # the last is the byte order mark

# Usual names of each field's column, the likeliest first; case and punctuation do not count.
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


def choose_columns(header: Sequence[str], columns: Mapping[str, str] | None = None, *, table: str) -> dict[str, str]:
    """Return which column holds which field, for the fields that a table has.

    Of several columns that fit a field, the spelling that `SPELLINGS` names first wins; of two columns of one
    spelling, the first. Where no column is called votes, each `votes_<emotion>` is a field of its own.

    Args:
        header: The table's columns.
        columns: Field -> column, where the guess fails or errs; an empty column leaves the field out.
        table: The table's name, for messages.

    Raises:
        ValueError: If `columns` names an unknown field or column, or none holds the path or the emotion.
    """
    given = {field: _find(field, name, header, table) for field, name in (columns or {}).items()}
    free = {_key(name): name for name in reversed(header) if name not in given.values()}
    chosen = given | {
        field: next(free[spelling] for spelling in spellings if spelling in free)
        for field, spellings in SPELLINGS.items()
        if field not in given and not free.keys().isdisjoint(spellings)
    }
    if "votes" not in chosen:
        names = {name.strip(BLANKS).lower(): name for name in reversed(header)}
        chosen |= {field: name for field, name in names.items() if field.startswith("votes_")}
    if missing := [field for field in ("path", "emotion") if not chosen.get(field)]:
        spelled = " ".join(f"{field}=…" for field in missing)
        raise ValueError(
            f"Expected a column for {' and '.join(missing)} in '{table}', found {list(header)}. "
            f"Say which it is: --columns {spelled}"
        )
    return {field: name for field, name in chosen.items() if name}


def _find(field: str, name: str, header: Sequence[str], table: str) -> str:
    if field not in SPELLINGS:
        raise ValueError(f"columns: expected fields among {list(SPELLINGS)}, found '{field}'.{_hint(field, SPELLINGS)}")
    if not name or name in header:
        return name
    if alike := [column for column in header if _key(column) == _key(name)]:
        return alike[0]
    raise ValueError(f"columns: '{table}' has no column '{name}', but {list(header)}.{_hint(name, header)}")


def _key(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def _hint(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean '{near[0]}'?" if near else ""
