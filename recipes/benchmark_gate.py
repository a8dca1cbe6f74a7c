"""Compare the speed of training with a stored one; `recipes/benchmark.py` runs this with --check (see its --help)."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FALL = 0.15  # of a ratio, which `check_ratios` does not accept


def check_ratios(rows: Sequence[Mapping[str, Any]], file: str | os.PathLike) -> list[str]:
    """Return a sentence for each row whose ratio to the stock way has fallen by more than `FALL`, or if none is stored.

    Args:
        rows: From `compare_training`.
        file: JSON file with earlier rows.
    """
    stored = read_ratios(file)
    if not any(name_row(row) in stored for row in rows if row["way"] != "stock"):
        return [f"Expected measured rows that are in '{file}', found none: {', '.join(map(name_row, rows))}."]
    return [
        f"{name_row(row)}: expected at least {(1 - FALL) * stored[name_row(row)]:.2f} times the stock way, found "
        f"{row['ratio']:.2f}. Profile the change that made it slower, or store the new ratios with --write."
        for row in rows
        if row["ratio"] < (1 - FALL) * stored.get(name_row(row), 0)
    ]


def list_uncompared(rows: Sequence[Mapping[str, Any]], file: str | os.PathLike) -> list[str]:
    """Return a sentence each for the rows of a file that were not measured, and for those that are not in it."""
    stored, measured = read_ratios(file), [name_row(row) for row in rows]
    kinds = {
        f"Not measured, but in '{file}'": [name for name in stored if name not in measured],
        f"Measured, but not in '{file}'": [name for name in measured if name not in stored],
    }
    return [f"{kind}: {'; '.join(names)}." for kind, names in kinds.items() if names]


def read_ratios(file: str | os.PathLike) -> dict[str, float]:
    """Return the ratio to the stock way of each row of a file, by its name."""
    return {name_row(row): row["ratio"] for row in json.loads(Path(file).read_text(encoding="utf-8"))["rows"]}


def name_row(row: Mapping[str, Any]) -> str:
    """Return the name of a row in the stored file."""
    return f"{row['model']}, {row['lengths']}, {row['way']}"


if __name__ == "__main__":
    print(__doc__)
