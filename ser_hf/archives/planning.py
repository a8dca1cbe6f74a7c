"""Plan a job: list an archive once, and cut it into shards."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from pyarrow import compute

from ser_hf.archives.job import BLOCK, JOB, MANIFEST, Job, Settings, hash_blocks, write_job
from ser_hf.archives.listing import list_store
from ser_hf.archives.manifest import build_manifest, write_manifest
from ser_hf.archives.store import Store
from ser_hf.data.audio import SAMPLING_RATE
from ser_hf.serving.stream import cut_speech_windows

SHARD_BYTES = 1_000_000_000

logger = logging.getLogger(__name__)


def plan(
    source: str,
    folder: str,
    *,
    name: str,
    model: Mapping[str, Any],
    settings: Settings,
    shard_bytes: int = SHARD_BYTES,
) -> Job:
    """List an archive into ``manifest.parquet`` and write ``job.json``; neither changes afterwards.

    Args:
        source: Folder of the archive: path or URL (s3://, gs://, hf:// …).
        folder: Folder of the job: path or URL.
        name: Folder or Hub id of the model, as every worker finds it.
        model: Its description, see `ser_hf.serving.predict.identify_model`.
        settings: What determines the rows.
        shard_bytes: Largest size of a shard; a larger file is a shard of its own.

    Raises:
        FileExistsError: If the folder has a job already.
        FileNotFoundError: If the archive has no audio.
        ValueError: If the window is not a multiple of the hop, or the hop not of 0.05 s.
        PermissionError: If credentials are missing or not sufficient.
        ImportError: If the package for the store is missing, such as s3fs.
    """
    for _ in cut_speech_windows([], SAMPLING_RATE, SAMPLING_RATE, window=settings.window, hop=settings.hop):
        pass  # there is none: this checks the two values
    archive, store = Store(source), Store(folder)
    if store.exists(JOB):
        raise FileExistsError(f"'{store.url}' has a job already: run it, or plan into another folder.")
    table = build_manifest(list_store(archive), shard_bytes)
    if not len(table):
        raise FileNotFoundError(f"No audio under '{archive.url}': expected audio files, or tar files of them.")
    with store.replace(MANIFEST) as path:
        write_manifest(table, path)
        with path.open("rb") as file:
            digest = hash_blocks(lambda: file.read(BLOCK))
    job = Job(
        source=archive.url,
        name=name,
        model=json.loads(json.dumps(model)),
        settings=settings,
        manifest=digest,
        shards=table["shard"][-1].as_py() + 1,
        files=len(table),
        bytes=compute.sum(table["size"]).as_py(),
    )
    write_job(store, job)
    return job
