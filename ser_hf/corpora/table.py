"""Read any corpus whose labels are in a table (CSV, TSV, JSONL or Parquet) with one row per utterance."""

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

Rows = Iterator[tuple[int, dict[str, object]]]  # row number, and cells by field
Choose = Callable[[list[str]], dict[str, str]]  # header -> column by field
BATCH = 2_000  # rows of Parquet read at a time
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
        root: Table in UTF-8, or a folder that contains one table. Its paths may have Windows backslashes.
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
    locate = _locator(file.parent if audio_root is None else Path(audio_root).expanduser(), allow_outside)
    expression = None if speaker_pattern is None else compile_speaker(speaker_pattern)
    rows, silent, first = 0, 0, None
    genders: Counter[str] = Counter()
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
        logger.warning(f"Left out {silent} of {rows} rows of '{file}' without an emotion (first: row {first}).")


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
        # quotes inside TSV cells are mostly unpaired quotation marks; those around a whole cell are removed
        tabs = delimiter == "\t"
        rows = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL)
        clean: Callable[[str], str] = _unquote if tabs else str
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
    header = list(dict.fromkeys(name for _, row in _read_objects(file) for name in row))  # a row may lack some
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
    from pyarrow import ArrowInvalid, parquet  # slow to import, and only needed here

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
    """Return a function from a path in the table to the file path; it resolves the links of each folder once."""
    if not root.is_dir():
        raise FileNotFoundError(f"audio_root '{root}' is not a folder: expected the folder of the relative paths.")
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
                f"path '{cell}' is outside '{root}'. Is audio_root the folder to which paths are relative? "
                "If you trust the table, set allow_outside."
            )
        return path

    return locate


READERS = {".csv": _read_csv, ".tsv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
