"""The table of a long prediction: an interruption loses no row of it, and several processes write it together.

Each process appends its rows to a journal of its own, ``<table>.parts/<rank>.jsonl``, and reads those of all. Whoever
finds that no row is missing writes the table, and takes the journals away if none is being written: nobody waits for
anybody.
``<table>.model.json`` says which model the rows are from, and stays.
"""

import csv
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow
from filelock import FileLock, Timeout
from pyarrow import parquet

from ser_hf.cache import whole_file, write_text

FORMATS = (".csv", ".jsonl", ".parquet")
TEXTS = ("path", "prediction", "error")
TRUTHS = ("uncertain",)  # all other columns are numbers
IDENTITY = ("fingerprint", "dtype", "backend")  # what tells the rows of one model from those of another

Key = tuple[str, float | None, float | None]  # path, first second, last second
Row = dict[str, str | float | bool | None]


def claim_table(table: Path, model: Mapping[str, object]) -> None:
    """Say in ``<table>.model.json`` whose rows the table will hold.

    Args:
        table: File to write, of one of `FORMATS`; it may be there already, in part or as a whole.
        model: What is known of the model; `IDENTITY` tells it from others.

    Raises:
        FileExistsError: If the table holds the rows of another model, or is nobody knows whose.
    """
    described = table.with_name(f"{table.name}.model.json")
    if not (table.exists() or _parts(table).exists()):
        write_text(described, json.dumps(model, indent=1, ensure_ascii=False))
        return
    held = json.loads(described.read_text(encoding="utf-8")) if described.exists() else {}
    if different := [name for name in IDENTITY if held.get(name) != model[name]]:
        found = f"answers of '{held['model']}' of another {different[0]}" if held else "nobody knows what"
        raise FileExistsError(
            f"'{table}' holds {found}: expected those of '{model['model']}'. Name another --output, or delete "
            f"'{table.name}*' there."
        )


def read_rows(table: Path) -> dict[Key, Row]:
    """Return the rows that any process has written so far, by path, start and end; one with an error gives way."""
    rows, kept = [], {}
    for journal in sorted(_parts(table).glob("*.jsonl")):  # before the table: rows move from there to here
        with suppress(FileNotFoundError):  # moved just now
            rows += map(json.loads, journal.read_bytes().split(b"\n")[:-1])  # the last line may be half written
    for row in [*_read_table(table), *rows]:
        key = row["path"], row["start"], row["end"]
        if row["error"] is None or kept.get(key, row)["error"] is not None:
            kept[key] = row
    return kept


@contextmanager
def open_journal(table: Path, rank: int) -> Iterator[Callable[[Row], None]]:
    """Open the journal of a process, without the half line that a kill may have left; rows are kept as they come.

    Args:
        table: As for `claim_table`.
        rank: Number of the process.

    Yields:
        The function that appends a row.

    Raises:
        RuntimeError: If another process of that number is writing.
    """
    path = _parts(table) / f"{rank}.jsonl"
    path.parent.mkdir(exist_ok=True)
    lock = FileLock(path.with_suffix(".lock"))  # the system frees it when the process dies
    try:
        lock.acquire(timeout=1)  # somebody may be trying whether it is held
    except Timeout as error:
        raise RuntimeError(
            f"Another process (rank {rank}) is writing '{table}': expected one of each rank. Wait for it; "
            "`ser-hf predict --help` shows how several share the files."
        ) from error
    with lock, path.open("a+b") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)

        def append(row: Row) -> None:
            file.write(json.dumps(row).encode() + b"\n")
            file.flush()

        yield append


def finish_table(table: Path, keys: Sequence[Key], columns: Sequence[str]) -> tuple[dict[Key, Row], int]:
    """Write the table, if no row is missing; then take the journals away, if nobody is writing one.

    Args:
        table: As for `claim_table`.
        keys: Whose rows it has to hold, in their order; those of earlier runs follow.
        columns: Of the table.

    Returns:
        All rows, and how many are missing.
    """
    alone = not _is_written(table)  # asked first: what others append from now on is not among the rows
    rows = read_rows(table)
    missing = sum(key not in rows for key in keys)
    if not missing and _parts(table).exists():
        ordered = {key: rows[key] for key in keys} | rows
        with whole_file(table) as partial:
            _write_table(list(ordered.values()), columns, partial, table.suffix)
        if alone and not _is_written(table):
            shutil.rmtree(_parts(table), ignore_errors=True)  # another process may have taken it away
    return rows, missing


def _parts(table: Path) -> Path:
    return table.with_name(f"{table.name}.parts")


def _is_written(table: Path) -> bool:
    """Tell whether a process has its journal open."""
    try:
        for path in _parts(table).glob("*.lock"):
            with FileLock(path, timeout=0):
                pass
    except Timeout:
        return True
    return False


def _write_table(rows: list[Row], columns: Sequence[str], path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        kinds = dict.fromkeys(columns, pyarrow.float64())
        kinds |= dict.fromkeys(TEXTS, pyarrow.string()) | dict.fromkeys(TRUTHS, pyarrow.bool_())
        schema = pyarrow.schema([(name, kinds[name]) for name in columns])
        parquet.write_table(pyarrow.Table.from_pylist(rows, schema), path)
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        if suffix == ".csv":
            lines = csv.DictWriter(file, columns, lineterminator="\n")
            lines.writeheader()
            lines.writerows(rows)
        else:
            file.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def _read_table(path: Path) -> list[Row]:
    if not path.exists():
        return []
    if path.suffix == ".parquet":
        return parquet.read_table(path).to_pylist()
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in file]
        return [{name: _read_cell(name, cell) for name, cell in row.items()} for row in csv.DictReader(file)]


def _read_cell(name: str, cell: str) -> str | float | bool | None:
    if cell == "" or name in TEXTS:
        return cell or None
    return cell == "True" if name in TRUTHS else float(cell)
