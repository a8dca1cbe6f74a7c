"""Export of utterances to a CSV or Parquet table."""

import json
import os
from collections.abc import Iterable
from dataclasses import fields
from itertools import islice
from pathlib import Path

import pyarrow
from pyarrow import csv, parquet

from ser_hf.cache import whole_file
from ser_hf.corpora import Utterance
from ser_hf.corpora.spelling import spell
from ser_hf.data.dataset import FEATURES
from ser_hf.escaping import cells

BATCH = 10_000  # utterances held in memory at a time
WRITERS = {".csv": csv.CSVWriter, ".parquet": parquet.ParquetWriter}
NAMES = [item.name for item in fields(Utterance) if item.name in FEATURES]


def write_utterances(utterances: Iterable[Utterance], path: str | os.PathLike) -> int:
    """Write a table with one row per utterance and the fields of `Utterance` as columns; votes are written as JSON.

    Utterances with a problem are left out.

    Args:
        utterances: The utterances of a corpus; they are written in batches, so a generator is never held in memory.
        path: File to write, .csv or .parquet.

    Returns:
        The number of rows.

    Raises:
        ValueError: If the file name has another extension.
    """
    suffix = Path(path).suffix
    if suffix not in WRITERS:
        raise ValueError(f"output: expected a file {' or '.join(WRITERS)}, found '{path}'.")
    schema = pyarrow.schema([FEATURES.arrow_schema.field(name) for name in NAMES])
    rows, count = (row for row in utterances if not row.problem), 0
    batch = list(islice(rows, BATCH))  # before the file is created, so that an unreadable corpus leaves no file
    with whole_file(path) as partial, WRITERS[suffix](str(partial), schema) as writer:
        while batch:
            columns = {name: [getattr(row, name) for row in batch] for name in NAMES}
            columns["path"] = [spell(path) for path in columns["path"]]
            if suffix == ".csv":
                columns = {name: cells(values) for name, values in columns.items()}
            columns["votes"] = [votes and json.dumps(votes, sort_keys=True) for votes in columns["votes"]]
            writer.write_table(pyarrow.table(columns, schema=schema))
            count += len(batch)
            batch = list(islice(rows, BATCH))
    return count
