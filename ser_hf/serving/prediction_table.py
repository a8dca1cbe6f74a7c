"""Write a table of predictions that can be resumed after an interruption and shared by several processes.

Each process appends its rows to its own journal, ``<table>.parts/<rank>.jsonl``, and reads the journals of all
processes. A process that finds no row missing writes the table, and deletes the journals if no process is writing one.
Processes do not wait for each other. ``<table>.model.json`` describes the model of the rows and is kept.
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
from ser_hf.escaping import cell, plain_cell
from ser_hf.foreign_files import read_json

FORMATS = (".csv", ".json", ".jsonl", ".parquet")
TRUTHS = ("uncertain", "overlap")
COUNTS = ("channel",)
NUMBERS = ("start", "end", "duration", "missing")  # and each score_<emotion>; all other columns are texts
IDENTITY = ("fingerprint", "dtype", "backend", "speech", "channels")  # keys that identify the model of a row

# Path, start and end in seconds; and the number of a channel if the channels have rows of their own.
Key = tuple[str, float | None, float | None] | tuple[str, float | None, float | None, int]
Row = dict[str, str | float | bool | None]
Known = Row  # columns that are known before the prediction, such as the speaker


def rename_input(name: str, known: Known) -> str:
    """Return the name that a column of the input gets whose own name is taken by a column of the output.

    Examples:
        >>> rename_input("speaker", {"speaker": "Anna"})
        'input_speaker'
    """
    while (name := f"input_{name}") in known:
        pass
    return name


def claim_table(table: Path, model: Mapping[str, object]) -> None:
    """Write the description of the table's model into ``<table>.model.json``.

    Args:
        table: File to write, with one of `FORMATS`; it may exist already, partially or completely.
        model: Description of the model; the keys in `IDENTITY` identify it.

    Raises:
        FileExistsError: If the table has rows of another model, or its model is unknown.
    """
    described = table.with_name(f"{table.name}.model.json")
    if not (table.exists() or _parts(table).exists()):
        write_text(described, json.dumps(model, indent=1, ensure_ascii=False))
        return
    held = read_json(described) if described.exists() else {}
    if different := [name for name in IDENTITY if held.get(name) != model[name]]:
        found = f"'{held.get('model')}' with another {different[0]}" if held else "an unknown model"
        if held and different[0] not in held:
            found = f"an earlier ser_hf, which did not write down '{different[0]}'"
        if different == ["channels"] and "channels" in held:
            raise FileExistsError(
                f"'{table}' has rows of --channels {held['channels']}: expected rows of --channels "
                f"{model['channels']}. Pass another --output."
            )
        raise FileExistsError(
            f"'{table}' has rows of {found}: expected rows of '{model['model']}'. Pass another --output, or delete "
            f"'{table.name}*' in that folder."
        )


def read_rows(table: Path) -> dict[Key, Row]:
    """Return the rows that all processes have written so far, by their keys.

    If there are several rows of one file, a row without an error is preferred.
    """
    rows: list[Row] = []
    kept: dict[Key, Row] = {}
    for journal in sorted(_parts(table).glob("*.jsonl")):  # before the table, because rows move from journals to it
        with suppress(FileNotFoundError):  # another process has just deleted it
            rows += map(json.loads, journal.read_bytes().split(b"\n")[:-1])  # the last line may be incomplete
    for row in [*_read_table(table), *rows]:
        key = key_of(row)
        if row["error"] is None or kept.get(key, row)["error"] is not None:
            kept[key] = row
    return kept


def key_of(row: Row) -> Key:
    """Return the key of a row.

    Examples:
        >>> key_of({"path": "a.wav", "start": None, "end": None, "channel": 2, "prediction": "sad"})
        ('a.wav', None, None, 2)
    """
    key = row["path"], row["start"], row["end"]
    channel = row.get("channel")
    return key if channel is None else (*key, channel)  # type: ignore[return-value]


@contextmanager
def open_journal(table: Path, rank: int) -> Iterator[Callable[[Row], None]]:
    """Open the journal of a process; an incomplete last line of a killed process is removed.

    Args:
        table: The table, see `claim_table`.
        rank: Rank of the process.

    Yields:
        The function that appends a row to the file at once.

    Raises:
        RuntimeError: If another process with this rank is writing the table.
    """
    path = _parts(table) / f"{rank}.jsonl"
    path.parent.mkdir(exist_ok=True)
    lock = FileLock(path.with_suffix(".lock"))  # the operating system releases it when the process ends
    try:
        lock.acquire(timeout=1)  # another process may hold it for a moment, see `_is_written`
    except Timeout as error:
        raise RuntimeError(
            f"Another process with rank {rank} is writing '{table}': expected one process per rank. Wait for it; "
            "`ser-hf predict --help` shows how several processes share the files."
        ) from error
    with lock, path.open("a+b") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)

        def append(row: Row) -> None:
            file.write(json.dumps(row).encode() + b"\n")
            file.flush()

        yield append


def finish_table(
    table: Path, keys: Sequence[Key], columns: Sequence[str], known: Mapping[Key, Known] | None = None
) -> tuple[dict[Key, Row], int]:
    """Write the table if no row is missing; then delete the journals if no process is writing one.

    Args:
        table: The table, see `claim_table`.
        keys: The required rows in their order; rows of earlier runs follow.
        columns: Columns of the table.
        known: Other columns of the rows; they are after path, start and end.

    Returns:
        All rows, and the number of missing ones.
    """
    alone = not _is_written(table)  # checked before reading: rows that are appended later would be lost
    stored = read_rows(table)
    missing = sum(key not in stored for key in keys)
    rows = {key: stored[key] for key in keys if key in stored} | stored
    rows |= {key: row | known[key] for key, row in rows.items() if known and key in known}
    if not missing and (_parts(table).exists() or rows != stored):
        others = dict.fromkeys(name for row in rows.values() for name in row if name not in columns)
        with whole_file(table) as partial:
            _write_table(list(rows.values()), [*columns[:3], *others, *columns[3:]], partial, table.suffix)
        if alone and not _is_written(table):
            shutil.rmtree(_parts(table), ignore_errors=True)  # another process may have deleted it
    return rows, missing


def _parts(table: Path) -> Path:
    return table.with_name(f"{table.name}.parts")


def _is_written(table: Path) -> bool:
    """Tell whether any process has its journal open."""
    try:
        for path in _parts(table).glob("*.lock"):
            with FileLock(path, timeout=0):
                pass
    except Timeout:
        return True
    return False


def _write_table(rows: list[Row], columns: Sequence[str], path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        kinds = {bool: pyarrow.bool_(), int: pyarrow.int64(), float: pyarrow.float64(), str: pyarrow.string()}
        schema = pyarrow.schema([(name, kinds[_kind(name)]) for name in columns])
        parquet.write_table(pyarrow.Table.from_pylist(rows, schema), path)
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        if suffix == ".csv":
            lines = csv.DictWriter(file, columns, lineterminator="\n")
            lines.writeheader()
            lines.writerows({name: cell(value) for name, value in row.items()} for row in rows)
            return
        objects = [{name: row.get(name) for name in columns} for row in rows]
        if suffix == ".json":
            json.dump(objects, file, indent=1, ensure_ascii=False)
        else:
            file.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in objects)


def _read_table(path: Path) -> list[Row]:
    if not path.exists():
        return []
    if path.suffix == ".parquet":
        return parquet.read_table(path).to_pylist()
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix == ".json":
            return json.load(file)
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in file]
        return [{name: _read_cell(name, text) for name, text in row.items()} for row in csv.DictReader(file)]


def _read_cell(name: str, text: str) -> str | float | bool | None:
    kind = _kind(name)
    if text == "" or kind is str:
        return plain_cell(text) or None
    return text == "True" if kind is bool else kind(text)


def _kind(name: str) -> type:
    """Return the type of the values of a column."""
    if name in TRUTHS:
        return bool
    if name in COUNTS:
        return int
    return float if name in NUMBERS or name.startswith("score_") else str
