"""Merge the parts of a verified job into one table."""

import hashlib
import io
import json
import os

from pyarrow import parquet

from ser_hf.archives.job import SUCCESS, read_job
from ser_hf.archives.store import Store


def merge_parts(folder: str, output: str) -> int:
    """Write one Parquet file with the rows of all parts, which datasets, DuckDB and pandas read; return their number.

    One part is in memory at a time, and is a row group of the file.

    Args:
        folder: Folder of the job: path or URL.
        output: The file: path or URL, with the extension .parquet.

    Raises:
        FileNotFoundError: If the job is not verified, or a part has been deleted.
        ValueError: If the extension is another one, or a part has changed since the verification.
    """
    if not output.endswith(".parquet"):
        raise ValueError(f"output: expected a file with the extension .parquet, found '{output}'.")
    store = Store(folder)
    job = read_job(store)
    if not store.exists(SUCCESS):
        raise FileNotFoundError(f"'{store.url}' is not verified: run `ser-hf archive verify {folder}` first.")
    hashes = json.loads(store.read(SUCCESS))["parts"]
    target = Store(os.path.dirname(output) or ".")
    rows = 0
    with target.replace(os.path.basename(output)) as path:
        writer = None
        for name in map(job.part, range(job.shards)):
            content = store.read(name)
            if hashlib.sha256(content).hexdigest() != hashes.get(name):
                raise ValueError(f"'{store.url}/{name}' has changed since it was verified: verify the job again.")
            table = parquet.read_table(io.BytesIO(content))
            writer = writer or parquet.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
            rows += len(table)
        if writer:
            writer.close()
    return rows
