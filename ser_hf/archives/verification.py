"""Verify that the parts of a job have every file of the manifest once, and write the sums."""

import hashlib
import io
import json
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path

from pyarrow import parquet

from ser_hf.archives.job import MANIFEST, PARTS, SUCCESS, Job, check_manifest, done_shards, read_job
from ser_hf.archives.manifest import Manifest
from ser_hf.archives.store import Store
from ser_hf.cache import remove_partial_files


@dataclass
class Sums:
    """Hold the sums over all parts of a job.

    Attributes:
        files: Number of files.
        rows: Number of rows.
        errors: Number of files with an error.
        hours: Duration of the audio in hours, up to the end of the last row of each file.
        missing: Numbers of the shards without a part.
        faults: What is wrong with parts.
        parts: Part -> SHA-256.

    Examples:
        >>> Sums(files=2, rows=2).faults
        []
    """

    files: int = 0
    rows: int = 0
    errors: int = 0
    hours: float = 0.0
    missing: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    parts: dict[str, str] = field(default_factory=dict)


def verify(folder: str) -> Sums:
    """Compare each part with the manifest; if all are right, write ``_SUCCESS.json`` as the last file of the job.

    Args:
        folder: Folder of the job: path or URL.

    Raises:
        FileNotFoundError: If the folder has no job.
        ValueError: If the manifest has changed since the job was planned.
    """
    store = Store(folder)
    job = read_job(store)
    check_manifest(store, job)
    done, sums = done_shards(store), Sums()
    sums.faults += [f"{job.part(shard)} belongs to no shard of the manifest" for shard in done if shard >= job.shards]
    with store.fs.open(store.path(MANIFEST), "rb") as file:
        for shard, keys in Manifest(file).shards():
            if shard not in done:
                sums.missing.append(shard)
            elif fault := _add_part(sums, store.read(job.part(shard)), job.part(shard), keys, job):
                sums.faults.append(f"{job.part(shard)} {fault}")
    if not sums.missing and not sums.faults:
        sums_only = {name: value for name, value in asdict(sums).items() if name not in ("missing", "faults")}
        content = json.dumps(sums_only | {"manifest": job.manifest, "fingerprint": job.model["fingerprint"]}, indent=1)
        if store.is_local:  # whoever still writes one of these finds that the part is there
            remove_partial_files(Path(store.path(PARTS)).iterdir())
        with store.replace(SUCCESS) as path:
            path.write_text(content, encoding="utf-8")
    return sums


def _add_part(sums: Sums, content: bytes, name: str, keys: list[str], job: Job) -> str | None:
    """Add the rows of a part to the sums, or return what is wrong with it."""
    try:
        file = parquet.ParquetFile(io.BytesIO(content))
        table = file.read(columns=["key", "end", "duration", "error"])
    except (ValueError, OSError) as error:
        return f"is damaged ({error})"
    if (file.schema_arrow.metadata or {}).get(b"ser_hf", b"").decode() != job.identity():
        return "is of another job, model or settings"
    rows = [(row["key"], row["end"] or row["duration"] or 0.0, row["error"]) for row in table.to_pylist()]
    files = [(key, list(group)) for key, group in groupby(rows, key=lambda row: row[0])]
    found = [key for key, _ in files]
    if found != keys:
        wrong = set(found) ^ set(keys) or {"the order"}
        return f"has other keys than the manifest: expected {len(keys)}, found {len(found)} (first: {min(wrong)})"
    if job.settings.rows == "utterances" and len(rows) != len(keys):
        return f"has {len(rows)} rows: expected one for each of the {len(keys)} files"
    sums.files += len(files)
    sums.rows += len(rows)
    sums.errors += sum(any(row[2] is not None for row in group) for _, group in files)
    sums.hours += sum(max(row[1] for row in group) for _, group in files) / 3600
    sums.parts[name] = hashlib.sha256(content).hexdigest()
    return None
