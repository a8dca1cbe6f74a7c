"""Any corpus whose owners tell its labels in a table: CSV, TSV, JSONL or Parquet, a row per utterance."""

import csv
import json
import logging
import ntpath
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path

from ser_hf.corpora.cells import compile_speaker, match_speaker, read_cells, warn_of_genders
from ser_hf.corpora.columns import choose_columns
from ser_hf.corpora.utterance import Utterance

Rows = Iterator[tuple[int, dict[str, object]]]  # number of the row, and its cells by field
Choose = Callable[[list[str]], dict[str, str]]  # header -> column by field
BATCH = 2_000  # rows of Parquet at a time
FOLDERS = 50_000  # whose links are remembered

logger = logging.getLogger(__name__)


def table(
    root: str | os.PathLike,
    *,
    columns: Mapping[str, str] | None = None,
    audio_root: str | os.PathLike | None = None,
    allow_outside: bool = False,
    speaker_pattern: str | None = None,
) -> Iterator[Utterance]:
    r"""Yield the utterances of a table, in its order; rows that name no emotion are left out and counted.

    `file_name,label,speaker` is such a table's header; `SPELLINGS` in `columns.py` lists the columns that are
    recognised. Rows are read as they are asked for, so that a table of any length takes little memory.

    Args:
        root: The table, in UTF-8, or a folder that holds one; Windows' back slashes may stand in its paths.
        columns: Field of `Utterance` -> column, where the guess fails or errs; an empty column leaves a field out.
        audio_root: The folder that the paths are relative to; None for the table's own.
        allow_outside: Let paths leave that folder, through `..`, a link or from the root of the disk.
        speaker_pattern: Regular expression, searched in the file name; its first group is the speaker (the
            whole match where it has no group), whatever the table says.

    Raises:
        FileNotFoundError: If there is no table, or no folder `audio_root`.
        ValueError: If a folder holds several tables; if the table cannot be read, or has no column for the path or
            the emotion, or no row with an emotion; if a cell makes no sense or a path leaves the folder. Rows are
            counted as in an editor, where the header is row 1; those of Parquet from 1.
    """
    file = _find_table(Path(root).expanduser())
    locate = _locator(file.parent if audio_root is None else Path(audio_root).expanduser(), allow_outside)
    expression = None if speaker_pattern is None else compile_speaker(speaker_pattern)
    rows, silent, first, genders = 0, 0, None, Counter()
    for number, cells in _read_rows(file, columns):
        try:
            fields = read_cells(cells, genders)
            if "emotion" in fields:
                fields["path"] = locate(fields.get("path", ""))
                if expression:
                    fields["speaker"] = match_speaker(expression, os.path.basename(fields["path"]))
        except ValueError as error:
            raise ValueError(f"Row {number} of '{file}': {error}") from error
        rows += 1
        if "emotion" in fields:
            yield Utterance(corpus="table", **fields)
        else:
            silent, first = silent + 1, first or number
    if silent == rows:
        raise ValueError(f"No utterances in '{file}': expected rows with an emotion, found {rows} rows without one.")
    warn_of_genders(genders, file)
    if silent:
        logger.warning(f"Left out {silent} of {rows} rows of '{file}' that name no emotion (first: row {first}).")


def _find_table(root: Path) -> Path:
    if root.is_file():
        found = [root]
    elif root.is_dir():
        found = sorted(path for path in root.iterdir() if path.suffix.lower() in READERS and path.name[0] != ".")
    else:
        raise FileNotFoundError(f"data_root '{root}' is not there: expected a table, or a folder that holds one.")
    if len(found) > 1:
        names = [path.name for path in found]
        raise ValueError(f"Expected one table in '{root}', found {names}: name one of them as data_root.")
    if not found:
        raise FileNotFoundError(f"No table in '{root}': expected one file among {', '.join(READERS)}.")
    if found[0].suffix.lower() not in READERS:
        raise ValueError(f"Expected a table among {', '.join(READERS)}, found '{root}'.")
    return found[0]


def _read_rows(file: Path, columns: Mapping[str, str] | None) -> Rows:
    choose = partial(choose_columns, columns=columns, table=str(file))
    try:
        yield from READERS[file.suffix.lower()](file, choose)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"Cannot read '{file}': expected a table in UTF-8, found: {error}.") from error


def _read_csv(file: Path, choose: Choose) -> Rows:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        names = re.sub(r'"[^"]*"', "", lines.readline())
        lines.seek(0)
        delimiter = max(",;\t", key=names.count)
        # quotes within a TSV are mostly speech marks that nobody closes; those around a cell are taken off
        quoting, clean = (csv.QUOTE_NONE, _unquote) if delimiter == "\t" else (csv.QUOTE_MINIMAL, str)
        rows = csv.reader(lines, delimiter=delimiter, quoting=quoting)
        header = [clean(name) for name in next(rows, [])]
        places = {field: header.index(name) for field, name in choose(header).items()}
        for row in rows:
            if not any(map(str.strip, row)):
                continue
            if len(row) != len(header):
                raise ValueError(f"Row {rows.line_num} of '{file}': expected {len(header)} cells, found {len(row)}.")
            yield rows.line_num, {field: clean(row[place]) for field, place in places.items()}


def _unquote(cell: str) -> str:
    return cell[1:-1].replace('""', '"') if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def _read_jsonl(file: Path, choose: Choose) -> Rows:
    header = list(dict.fromkeys(name for _, row in _read_objects(file) for name in row))  # a row may leave some out
    chosen = choose(header)
    for number, row in _read_objects(file):
        yield number, {field: row.get(name) for field, name in chosen.items()}


def _read_objects(file: Path) -> Rows:
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if line.isspace():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"Row {number} of '{file}': expected JSON, found: {error}.") from error
            if not isinstance(row, dict):
                raise ValueError(f"Row {number} of '{file}': expected a JSON object, found {line.strip()!r:.60}.")
            yield number, row


def _read_parquet(file: Path, choose: Choose) -> Rows:
    from pyarrow import ArrowInvalid, parquet  # slow to import, and most corpora need none of it

    try:
        source = parquet.ParquetFile(file)
    except ArrowInvalid as error:
        raise ValueError(f"Cannot read '{file}': expected Parquet, found: {error}.") from error
    with source:
        chosen = choose(source.schema_arrow.names)
        batches = source.iter_batches(BATCH, columns=list(set(chosen.values())))
        for number, row in enumerate((row for batch in batches for row in batch.to_pylist()), 1):
            yield number, {field: row[name] for field, name in chosen.items()}


def _locator(root: Path, allow_outside: bool) -> Callable[[str], str]:
    """Return the function from a path in the table to the file's; it follows the links of each folder once."""
    if not root.is_dir():
        raise FileNotFoundError(f"audio_root '{root}' is not a folder: expected the one that paths are relative to.")
    inside = os.path.join(os.path.realpath(root), "")
    follow = lru_cache(FOLDERS)(lambda folder: (str(Path(folder)), os.path.join(os.path.realpath(folder), "")))

    def locate(cell: str) -> str:
        below = cell.replace("\\", "/")
        if ntpath.isabs(cell) and not os.path.isabs(below):
            raise ValueError(f"path '{cell}' is on a Windows drive: expected one relative to '{root}'.")
        folder, name = os.path.split(os.path.join(root, below))
        if name in ("", ".", ".."):
            raise ValueError(f"path: expected an audio file, found '{cell}'.")
        folder, place = follow(folder)
        path = os.path.join(folder, name)
        if os.path.islink(path):
            place = os.path.realpath(path)
        if not (allow_outside or place.startswith(inside)):
            raise ValueError(
                f"path '{cell}' leads out of '{root}'. Is audio_root the folder that paths are relative to? "
                "To trust the table: allow_outside."
            )
        return path

    return locate


READERS = {".csv": _read_csv, ".tsv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
