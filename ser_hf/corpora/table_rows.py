"""Read the rows of a user's table (CSV, TSV, JSONL, Parquet or Excel) as programs and spreadsheets save it."""

import csv
import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from ser_hf.corpora.columns import BLANKS, NUMBERS, choose_columns, column_key
from ser_hf.corpora.files import AUDIO_EXTENSIONS, pluralize
from ser_hf.escaping import plain_cell

Rows = Iterator[tuple[int, dict[str, object]]]  # row number, and cells by field
Choose = Callable[[list[str]], dict[str, str]]  # header -> column by field
DELIMITERS = ",;\t|"
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)  # first line of a table for Excel
DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+\s*")
KEPT = "kept "  # before the name of a column in a field
BATCH = 2_000  # rows of Parquet read at a time
SAVE_AGAIN = "Save it as UTF-8 (Excel: 'CSV UTF-8'), or convert it: iconv -f WINDOWS-1252 -t UTF-8 IN > OUT"

logger = logging.getLogger(__name__)


def read_table_rows(
    file: Path,
    columns: Mapping[str, str] | None = None,
    *,
    required: Sequence[str] = ("path", "emotion"),
    keep: bool = False,
) -> Rows:
    """Yield the number and the cells of each row that is not blank; header lines within the table are left out.

    Rows are read one at a time. Text may be UTF-8 or UTF-16, with any line ends, `DELIMITERS` or a line such as
    ``sep=;``, and blank lines before the header. Of a workbook, the first sheet with content is read.

    Args:
        file: Table with one of the extensions in `READERS`.
        columns: Column of each field that is guessed wrongly or not found, see `choose_columns`.
        required: Fields that the table must have.
        keep: Whether each other column is a field too, named `KEPT` and its name; other than path, start and end.

    Yields:
        Number of the line, from 1 with the header (of Parquet: of the row, without a header), and cells by field.

    Raises:
        ValueError: If the table cannot be read, a column is missing, a quotation mark is not closed, or a row has
            another number of cells than the header.
        ImportError: If the table is a workbook and openpyxl is not installed.
    """

    def choose(header: list[str]) -> dict[str, str]:
        chosen = choose_columns(header, columns, table=str(file), required=required)
        used = {chosen.get(field) for field in ("path", "start", "end")}
        return chosen | ({f"{KEPT}{name}": name for name in header if name and name not in used} if keep else {})

    try:
        yield from READERS[file.suffix.lower()](file, choose)
    except UnicodeDecodeError as error:
        raise ValueError(f"Cannot read '{file}': expected a table in UTF-8, found: {error}. {SAVE_AGAIN}") from error


def _read_text_table(file: Path, choose: Choose) -> Rows:
    encoding = _find_encoding(file)
    with file.open(encoding=encoding, newline="") as lines:
        skipped, delimiter = _find_header(lines)
        lines.seek(0)
        for _ in islice(lines, skipped):
            pass
        rows = _split_lines(lines, skipped, delimiter, file)
        for number, cells in _read_grid(rows, choose, file):
            if delimiter != ",":
                cells = {field: _decimal_point(field, cell) for field, cell in cells.items()}
            yield number, cells


def _find_encoding(file: Path) -> str:
    with file.open("rb") as content:
        start = content.read(4_096)
    if start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise ValueError(f"'{file}' is a workbook of Excel: save it as .xlsx, or as 'CSV UTF-8'.")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if start[1::2].count(0) > len(start) // 4:
        return "utf-16-le"
    return "utf-16-be" if start[::2].count(0) > len(start) // 4 else "utf-8-sig"


def _find_header(lines: Iterable[str]) -> tuple[int, str]:
    """Return the number of lines before the header, and the delimiter."""
    given = None
    for number, line in enumerate(lines):
        if separator := SEPARATOR_LINE.fullmatch(line.strip("\r\n ")):
            given = separator[1]
        elif line.strip(BLANKS + DELIMITERS + '"'):
            names = re.sub(r'"[^"]*"', "", line)
            return number, given or max(DELIMITERS, key=names.count)
    return 0, given or ","


def _split_lines(lines: Iterable[str], skipped: int, delimiter: str, file: Path) -> Iterator[tuple[int, list]]:
    """Yield the number of the first line and the cells of each row."""
    # quotes inside TSV cells are mostly unpaired quotation marks; those around a whole cell are removed
    tabs = delimiter == "\t"
    dialect: dict[str, Any] = {"delimiter": delimiter, "quoting": csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL}
    rows, number = csv.reader(lines, strict=True, **dialect), skipped + 1
    try:
        for row in rows:
            yield number, [plain_cell(_unquote(cell) if tabs else cell) for cell in row]
            number = skipped + rows.line_num + 1
    except csv.Error as error:
        raise ValueError(_unclosed(file, number, f"found: {error}, in line {skipped + rows.line_num}")) from error


def _unclosed(file: Path, number: int, found: str) -> str:
    return (
        f"Row {number} of '{file}': expected a closing quotation mark before the next cell, {found}. Close or remove "
        "the quotation mark of this row, or save the table with tabs (.tsv), where quotation marks need no partner."
    )


def _unquote(cell: str) -> str:
    return cell[1:-1].replace('""', '"') if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def _decimal_point(field: str, cell: object) -> object:
    number = field in NUMBERS or field.startswith("votes_")
    return cell.replace(",", ".") if number and isinstance(cell, str) and DECIMAL_COMMA.fullmatch(cell) else cell


def _read_grid(rows: Iterator[tuple[int, list]], choose: Choose, file: Path) -> Rows:
    """Yield the cells by field; the first row that is not blank is the header."""
    filled = ((number, row) for number, row in rows if any(not _is_blank(cell) for cell in row))
    _, header = next(filled, (1, []))
    header = ["" if _is_blank(name) else str(name) for name in header]
    if any(os.path.splitext(name)[1].lower() in AUDIO_EXTENSIONS for name in header):
        raise ValueError(f"'{file}' has no header: expected a first row such as path,emotion,speaker, found {header}.")
    places = {field: header.index(name) for field, name in choose(header).items()}
    lead = places.get("path", next(iter(places.values())))  # column that shows whether a row is a header
    known, repeated = set(header) - {""}, []
    for number, row in filled:
        while len(row) > len(header) and _is_blank(row[-1]):
            row.pop()
        if row[: len(header)][lead : lead + 1] and row[lead] in known:
            _check_header(row, header, number, file)
            repeated.append(number)
            continue
        if len(row) != len(header):
            raise ValueError(f"Row {number} of '{file}': expected {len(header)} cells, found {len(row)}.")
        if _swallows_rows(row, lead):
            raise ValueError(_unclosed(file, number, "found whole rows in one cell"))
        yield number, {field: row[place] for field, place in places.items()}
    if repeated:
        logger.warning(
            f"Left out {pluralize(len(repeated), 'repeated header')} within '{file}' (first: row {repeated[0]})."
        )


def _is_blank(cell: object) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip(BLANKS))


def _check_header(row: list, header: list[str], number: int, file: Path) -> None:
    """Check that a header within the table has the columns of the first one in the same order."""
    if [column_key(str(name)) for name in row] != [column_key(name) for name in header]:
        raise ValueError(
            f"Row {number} of '{file}' is another header: expected {header}, found {row}. Save the two tables as two "
            "files, or bring the columns into one order."
        )


def _swallows_rows(row: list, place: int) -> bool:
    """Return whether a cell of several lines contains a path, so that a missing quotation mark joined rows in it."""
    suffix = os.path.splitext(str(row[place]).strip(BLANKS))[1].lower()
    for column, cell in enumerate(row):
        if not suffix or not isinstance(cell, str) or not re.search(r"[\r\n]", cell):
            continue
        for i, line in enumerate(cell.splitlines()):
            parts = re.split("[,;|]", line)
            index = place if i else place - column
            if (i or index > 0) and index < len(parts) and parts[index].strip(BLANKS + '"').lower().endswith(suffix):
                return True
    return False


def _read_excel(file: Path, choose: Choose) -> Rows:
    try:
        import openpyxl
    except ImportError as error:
        raise ImportError(f"'{file}' needs openpyxl: pip install ser_hf[excel], or save it as 'CSV UTF-8'.") from error
    try:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    except (BadZipFile, KeyError, ValueError, openpyxl.utils.exceptions.InvalidFileException) as error:
        raise ValueError(
            f"Cannot read '{file}': expected a workbook of Excel (.xlsx) without a password, found: {error}."
        ) from error
    with closing(book):
        sheets = [sheet for sheet in book.worksheets if next(_filled_rows(sheet), None)]
        if len(sheets) > 1:
            others = [sheet.title for sheet in sheets[1:]]
            logger.warning(f"Read the sheet '{sheets[0].title}' of '{file}'; not read: {others}.")
        rows = _filled_rows(sheets[0]) if sheets else iter(())
        yield from _read_grid(_pad_rows(rows), choose, file)


def _filled_rows(sheet) -> Iterator[tuple[int, list]]:
    sheet.reset_dimensions()  # which some programs write wrongly
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
        if any(not _is_blank(cell) for cell in row):
            yield number, list(row)


def _pad_rows(rows: Iterator[tuple[int, list]]) -> Iterator[tuple[int, list]]:
    """Yield rows with at least as many cells as the header: empty cells at the end of a row are not stored."""
    width = 0
    for number, row in rows:
        width = width or len(row)
        yield number, row + [None] * (width - len(row))


def _read_jsonl(file: Path, choose: Choose) -> Rows:
    header = list(dict.fromkeys(name for _, row in _read_objects(file) for name in row))  # a row may lack some
    chosen = choose(header)
    for number, row in _read_objects(file):
        yield number, {field: row.get(name) for field, name in chosen.items()}


def _read_objects(file: Path) -> Rows:
    with file.open(encoding=_find_encoding(file)) as lines:
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


READERS: dict[str, Callable[[Path, Choose], Rows]] = {
    ".csv": _read_text_table,
    ".tsv": _read_text_table,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
    ".xlsx": _read_excel,
}
