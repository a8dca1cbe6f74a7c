"""Read any corpus whose labels are in a table (CSV, TSV, JSONL, Parquet or Excel) with one row per utterance."""

import logging
import ntpath
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ser_hf.corpora.cells import compile_speaker, match_speaker, read_cells, warn_of_genders
from ser_hf.corpora.name_forms import find_path
from ser_hf.corpora.spelling import unspell
from ser_hf.corpora.table_rows import KEPT, READERS, read_table_rows
from ser_hf.corpora.utterance import Utterance

FOLDERS = 50_000  # number of folders whose resolved links are cached

logger = logging.getLogger(__name__)


def table(
    root: str | os.PathLike,
    *,
    columns: Mapping[str, str] | None = None,
    audio_root: str | os.PathLike | None = None,
    allow_outside: bool = False,
    speaker_pattern: str | None = None,
) -> Iterator[Utterance]:
    r"""Yield the utterances of a table, in its order; one warning counts the rows without emotion.

    The header of such a table is `file_name,label,speaker`, for example; `SPELLINGS` in `columns.py` lists the column
    names that are recognised. Rows are read one at a time, so a long table needs little memory.

    Args:
        root: Table, or a folder that contains one table. Its paths may have Windows backslashes.
        columns: Column of each field of `Utterance` that is guessed wrongly or not found; an empty column name ignores
            the field.
        audio_root: Folder to which paths are relative; None for the folder of the table.
        allow_outside: Accept paths that are outside that folder: absolute, with `..`, or through a link.
        speaker_pattern: Regular expression to search in each file name. Its first group is the speaker, or the whole
            match if it has no group. It takes precedence over the table.

    Yields:
        One utterance per row, with the fields for which there are columns.

    Raises:
        FileNotFoundError: If there is no table, or `audio_root` is not a folder.
        ValueError: If the folder has several tables, the table cannot be read, no column has the path or the emotion,
            no row has an emotion, a cell cannot be converted, or a path is outside the folder. Row numbers are line
            numbers, so that the header is row 1; rows of Parquet are numbered from 1.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root:
        ...     _ = Path(root, "labels.csv").write_text("file_name,label,speaker\na.wav,Anger,1\n")
        ...     [(each.emotion, each.speaker) for each in table(root)]
        [('angry', '1')]
    """
    file = _find_table(Path(root).expanduser())
    locate = locator(file.parent if audio_root is None else audio_root, allow_outside=allow_outside)
    expression = None if speaker_pattern is None else compile_speaker(speaker_pattern)
    genders: Counter[str] = Counter()
    rows, silent, bad = 0, [], []
    for number, fields in read_fields(file, columns, locate=locate, genders=genders):
        rows += 1
        if problem := fields.get("problem"):
            bad.append(problem)
        if "emotion" not in fields:
            silent.append(number)
            continue
        if expression:
            fields["speaker"] = _match_row(expression, fields["path"], number, file)
        yield Utterance(corpus="table", **fields)
    if len(silent) == rows:
        raise ValueError(f"No utterances in '{file}': expected rows with an emotion, found {rows} rows without one.")
    warn_of_genders(genders, file)
    if silent:
        count = f"{len(silent)} of {rows} rows of '{file}'"
        logger.warning(f"Left out {count} without an emotion (first: row {silent[0]}).")
    if bad:
        logger.warning(f"Skipped {len(bad)} of {rows} rows (first: {bad[0]}).")


def _match_row(expression: re.Pattern, path: str, number: int, file: Path) -> str:
    try:
        return match_speaker(expression, os.path.basename(path))
    except ValueError as error:
        raise ValueError(f"Row {number} of '{file}': {error}") from error


def read_fields(
    file: Path,
    columns: Mapping[str, str] | None = None,
    *,
    locate: Callable[[str], str],
    genders: Counter[str] | None = None,
    only: Collection[str] = (),
    keep: bool = False,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the fields of each row of a table; a problem with its times is the field `problem`.

    Args:
        file: Table, see `read_table_rows`.
        columns: Column of each field that is guessed wrongly or not found.
        locate: Function from a path in the table to the path of the file, see `locator`.
        genders: Counter of unrecognised genders, see `read_cells`.
        only: Fields to read; the emotion is not required then. Empty for all fields.
        keep: Whether the field `kept` is a dict of the cells of the columns other than path, start and end.

    Raises:
        ValueError: If the table cannot be read, or a cell cannot be converted.
    """
    tally: Counter[str] = Counter() if genders is None else genders
    required = ("path",) if only else ("path", "emotion")
    for number, cells in read_table_rows(file, columns, required=required, keep=keep):
        kept = {name: cells.pop(name) for name in list(cells) if name.startswith(KEPT)}
        try:
            fields = read_cells({name: cell for name, cell in cells.items() if not only or name in only}, tally)
            if only or "emotion" in fields:
                fields["path"] = locate(fields.get("path", ""))
        except ValueError as error:
            raise ValueError(f"Row {number} of '{file}': {error}") from error
        if "problem" in fields:
            fields["problem"] = f"Row {number} of '{file}': {fields['problem']}"
        if keep:
            fields["kept"] = {name.removeprefix(KEPT): cell for name, cell in kept.items()}
        yield number, fields


def _find_table(root: Path) -> Path:
    if root.is_file():
        found = [root]
    elif root.is_dir():
        found = sorted(path for path in root.iterdir() if path.suffix.lower() in READERS and path.name[0] != ".")
    else:
        raise FileNotFoundError(f"data_root '{root}' does not exist: expected a table, or a folder that contains one.")
    if len(found) > 1:
        names = [path.name for path in found]
        raise ValueError(f"Expected one table in '{root}', found {names}: name one of them as data_root.")
    if not found:
        raise FileNotFoundError(f"No table in '{root}': expected one file among {', '.join(READERS)}.")
    if found[0].suffix.lower() not in READERS:
        raise ValueError(f"Expected a table among {', '.join(READERS)}, found '{root}'.")
    return found[0]


def locator(root: str | os.PathLike, *, allow_outside: bool) -> Callable[[str], str]:
    """Return a function from a path in a table to the path of the file; it resolves the links of each folder once.

    Args:
        root: Folder to which the paths of the table are relative.
        allow_outside: Accept paths that are outside that folder.

    Raises:
        FileNotFoundError: If `root` is not a folder.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"audio_root '{root}' is not a folder: expected the folder of the relative paths.")
    inside = os.path.join(os.path.realpath(root), "")
    follow = lru_cache(FOLDERS)(lambda folder: (str(Path(folder)), os.path.join(os.path.realpath(folder), "")))

    def locate(cell: str) -> str:
        name = unspell(cell)
        below = name if name != cell and os.path.lexists(os.path.join(root, name)) else cell.replace("\\", "/")
        if ntpath.isabs(cell) and not os.path.isabs(below):
            raise ValueError(f"path '{cell}' is on a Windows drive: expected one relative to '{root}'.")
        folder, name = os.path.split(find_path(os.path.join(root, below)))
        if name in ("", ".", ".."):
            raise ValueError(f"path: expected an audio file, found '{cell}'.")
        folder, place = follow(folder)
        path = os.path.join(folder, name)
        if os.path.islink(path):
            place = os.path.realpath(path)
        if not (allow_outside or place.startswith(inside)):
            raise ValueError(
                f"path '{cell}' is outside '{root}'. Is audio_root the folder to which paths are relative? "
                "If you trust the table, set allow_outside."
            )
        return path

    return locate
