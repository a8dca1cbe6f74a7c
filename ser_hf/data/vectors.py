"""A vector of fixed size for every row of a dataset: classical features in parallel, embeddings in batches.

What was computed once is kept under `cache_folder()` by the content of the waveform and by what computed it, as
Parquet; another version, another encoder or another preprocessing computes anew.
"""

import hashlib
import io
import logging
import os
import uuid
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow
from datasets import Dataset
from joblib import Parallel, delayed
from pyarrow import parquet
from tqdm import tqdm

from ser_hf.corpora.files import cache_folder, keep_file
from ser_hf.data.augment import Augmentation
from ser_hf.data.batching import evaluation_order
from ser_hf.data.dataset import load_row

BATCHES_KEPT = 32  # batches after which the cache is written, so that a kill loses little

Compute = Callable[[list[np.ndarray]], np.ndarray]  # B waveforms -> (B, …)

logger = logging.getLogger(__name__)


def compute_vectors(
    dataset: Dataset,
    compute: Compute,
    *,
    identity: str,
    batch_size: int = 16,
    processes: int = 1,
    augment: Augmentation | None = None,
    seed: tuple[int, ...] = (),
) -> np.ndarray:
    """Return the vector of every row, ``(N, …)`` float32, in the order of the dataset.

    Args:
        dataset: A part of `build_dataset`'s result, N rows.
        compute: Turns B waveforms ``(T,)`` at 16 kHz into ``(B, …)``; a function of a module where it is run by
            several processes.
        identity: What computes: changes whenever the same waveform would give other numbers.
        batch_size: Waveforms for one call, of like durations.
        processes: How many share the work.
        augment: Changes each waveform first.
        seed: Of these changes, before the row's number.

    Raises:
        ValueError: If a row cannot be decoded, or its vector is not finite.
    """
    folder = cache_folder() / "vectors" / hashlib.sha256(identity.encode()).hexdigest()[:32]
    known, shape = _read_kept(folder)

    def load(row: dict) -> np.ndarray:
        waveform = load_row(row)
        return waveform if augment is None else augment(waveform, (*seed, row["index"]))

    digests = [hashlib.blake2b(load(row), digest_size=16).digest() for row in dataset]
    missing = [i for i in evaluation_order(dataset["duration"]) if digests[i] not in known]
    batches = [missing[i : i + batch_size] for i in range(0, len(missing), batch_size)]
    waveforms = ([load(dataset[i]) for i in batch] for batch in batches)
    run = Parallel(processes, return_as="generator")  # hands out a few batches ahead, not all at once
    progress = tqdm(run(map(delayed(compute), waveforms)), "Computing vectors", len(batches), leave=False)
    fresh: dict[bytes, np.ndarray] = {}
    for count, (batch, vectors) in enumerate(zip(batches, progress, strict=True), 1):
        for i, vector in zip(batch, vectors, strict=True):
            if not np.isfinite(vector).all():
                raise ValueError(f"The vector of '{dataset[i]['path']}' is not finite: leave that file out.")
            fresh[digests[i]], shape = vector.ravel(), vector.shape
        if count % BATCHES_KEPT == 0 or count == len(batches):
            _keep(folder, fresh, shape)
            known |= fresh
            fresh = {}
    return np.stack([known[digest] for digest in digests]).reshape(len(dataset), *shape)


def write_vectors(dataset: Dataset, vectors: np.ndarray, path: str | os.PathLike) -> None:
    """Write a Parquet table that pandas reads: a row's labels and its `vector`, laid flat.

    Args:
        dataset: N rows.
        vectors: ``(N, …)``.
        path: File to write.
    """
    names = ("path", "corpus", "speaker", "gender", "emotion", "split", "utterance", "window_start", "window_end")
    table = dataset.select_columns(list(names)).with_format("arrow")[:]
    parquet.write_table(table.append_column("vector", _flatten(vectors)), path)


def _flatten(vectors: Sequence[np.ndarray]) -> pyarrow.Array:
    flat = np.asarray(vectors, dtype=np.float32).reshape(len(vectors), -1)
    return pyarrow.FixedSizeListArray.from_arrays(flat.ravel(), flat.shape[1])


def _read_kept(folder: os.PathLike) -> tuple[dict[bytes, np.ndarray], tuple[int, ...]]:
    """Return the kept vectors by the waveform's digest, and their shape."""
    known, shape = {}, ()
    for path in sorted(folder.glob("*.parquet")):
        table = parquet.read_table(path)
        shape = tuple(int(size) for size in table.schema.metadata[b"shape"].split())
        values = table["vector"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
        known |= dict(zip(table["digest"].to_pylist(), values, strict=True))
    return known, shape


def _keep(folder: os.PathLike, vectors: dict[bytes, np.ndarray], shape: tuple[int, ...]) -> None:
    """Add a file to the folder: no process ever changes what another has written."""
    table = pyarrow.table({"digest": list(vectors), "vector": _flatten(list(vectors.values()))})
    content = io.BytesIO()
    parquet.write_table(table.replace_schema_metadata({"shape": " ".join(map(str, shape))}), content)
    keep_file(folder / f"{uuid.uuid4().hex}.parquet", content.getvalue())
