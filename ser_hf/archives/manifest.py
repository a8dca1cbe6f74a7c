"""The manifest of a job: every audio file with its size and its shard, in a Parquet file that never changes."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow
from pyarrow import compute, parquet

from ser_hf.archives.listing import Audio

SCHEMA = pyarrow.schema(
    [
        ("key", pyarrow.string()), ("size", pyarrow.int64()), ("etag", pyarrow.string()), ("tar", pyarrow.string()),
        ("offset", pyarrow.int64()), ("shard", pyarrow.int32()),
    ]
)  # fmt: skip
LISTED = 100_000  # files that are Python objects at the same time
LEAST_ROWS = 100  # per row group: a shard of more files is a row group of its own


def build_manifest(found: Iterable[Audio], shard_bytes: int) -> pyarrow.Table:
    """Return the manifest: sorted by key, without the repeated keys of tar files, in shards of about equal bytes.

    Shards depend on the files only, and not on the number of processes. A file larger than `shard_bytes` is a shard of
    its own.

    Args:
        found: Files in any order.
        shard_bytes: Largest size of a shard in bytes.
    """
    columns = pyarrow.schema(list(SCHEMA)[:-1])
    found, blocks = iter(found), [columns.empty_table()]
    while block := [each._asdict() for each in islice(found, LISTED)]:
        blocks.append(pyarrow.Table.from_pylist(block, columns))
    table = pyarrow.concat_tables(blocks).combine_chunks()
    table = table.take(compute.sort_indices(table["key"]))
    if len(table) > 1:
        keys = table["key"].combine_chunks()
        new = pyarrow.concat_arrays([pyarrow.array([True]), compute.not_equal(keys[1:], keys[:-1])])
        table = table.filter(new)
    return table.append_column(SCHEMA.field("shard"), pyarrow.array(_cut(table["size"].to_numpy(), shard_bytes)))


def _cut(sizes: np.ndarray, shard_bytes: int) -> np.ndarray:
    """Return the shard of each file ``(N,)`` int32."""
    shards = np.zeros(len(sizes), np.int32)
    shard = total = 0
    for i, size in enumerate(sizes.tolist()):
        if total and total + size > shard_bytes:
            shard, total = shard + 1, 0
        shards[i] = shard
        total += size
    return shards


def write_manifest(table: pyarrow.Table, path: Path) -> None:
    """Write a manifest, with whole shards in each row group, so that a shard is read without the others."""
    shards = table["shard"].to_numpy()
    ends = np.append(np.flatnonzero(np.diff(shards)) + 1, len(shards))
    with parquet.ParquetWriter(path, SCHEMA) as writer:
        start = 0
        for end in ends.tolist():
            if end - start >= LEAST_ROWS or end == len(shards):
                writer.write_table(table.slice(start, end - start), row_group_size=end - start)
                start = end


class Manifest:
    """Read the shards of a manifest, one at a time."""

    def __init__(self, file: object):
        """Open a manifest.

        Args:
            file: Its path, or an open file.
        """
        self._file = parquet.ParquetFile(file)
        column = SCHEMA.get_field_index("shard")
        groups = (self._file.metadata.row_group(i) for i in range(self._file.num_row_groups))
        self._last = [group.column(column).statistics.max for group in groups]  # shard of each row group

    def read_shard(self, shard: int) -> list[Audio]:
        """Return the files of a shard, sorted by key."""
        group = int(np.searchsorted(self._last, shard))
        table = self._file.read_row_group(group)
        rows = table.filter(compute.equal(table["shard"], shard)).drop_columns(["shard"]).to_pylist()
        return [Audio(**row) for row in rows]

    def shards(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the number and the sorted keys of each shard."""
        for group in range(self._file.num_row_groups):
            table = self._file.read_row_group(group, columns=["key", "shard"])
            keys, shards = table["key"].to_pylist(), table["shard"].to_numpy()
            starts = [0, *(np.flatnonzero(np.diff(shards)) + 1).tolist(), len(keys)]
            for start, end in zip(starts, starts[1:], strict=False):
                yield int(shards[start]), keys[start:end]
