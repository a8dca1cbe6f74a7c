"""Compute fixed-size vectors for the rows of a dataset: classical features in parallel, embeddings in mini-batches.

Vectors are cached as Parquet files under `cache_folder()`. The cache key consists of the content of the waveform and
the cache key of the feature extractor, so vectors of another version, encoder or preprocessing are never used.
Damaged cache files are deleted and their vectors computed again.
"""

import hashlib
import io
import logging
import math
import os
import uuid
from collections.abc import Callable, Sequence
from itertools import repeat
from pathlib import Path

import numpy as np
import pyarrow
from datasets import Dataset
from joblib import Parallel, delayed
from pyarrow import parquet
from tqdm import tqdm

from ser_hf.cache import cache_folder, keep_file, whole_file
from ser_hf.corpora.files import pluralize
from ser_hf.data.augment import Augmentation
from ser_hf.data.dataset import load_row
from ser_hf.data.sampler import evaluation_order

BATCHES_KEPT = 32  # number of batches after which vectors are written to the cache, in case the process is killed

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
    """Return the vectors of all rows, ``(N, …)`` float32, in the order of the dataset.

    Args:
        dataset: A part of the result of `build_dataset`, N rows.
        compute: Function that converts B waveforms ``(T,)`` at 16 kHz to vectors ``(B, …)``. With several processes it
            must be defined at module level, so that it can be pickled.
        identity: Cache key of `compute`; it must change whenever the vector of the same waveform would change.
        batch_size: Number of waveforms per call of `compute`; they have similar durations.
        processes: Number of parallel processes.
        augment: Augmentation of each waveform; None for no augmentation.
        seed: Random seed of the augmentation; the number of the row is appended to it.

    Raises:
        ValueError: If a row cannot be decoded, or rows have no finite vector. In the second case the message lists
            these files, and the vectors of all other rows are cached.
        ImportError: If `compute` needs a package that is not installed.
        RuntimeError: If the cache cannot be written.
    """
    folder = cache_folder() / "vectors" / hashlib.sha256(identity.encode()).hexdigest()[:32]
    known, shape = _read_cached_vectors(folder)

    def load(row: dict) -> np.ndarray:
        waveform = load_row(row)
        return waveform if augment is None else augment(waveform, (*seed, row["index"]))

    digests = [hashlib.blake2b(load(row).data, digest_size=16).digest() for row in dataset]
    missing = [i for i in evaluation_order(dataset["duration"]) if digests[i] not in known]
    batches = [missing[i : i + batch_size] for i in range(0, len(missing), batch_size)]
    waveforms = ([load(dataset[i]) for i in batch] for batch in batches)
    run = Parallel(processes, return_as="generator")  # decodes only a few batches ahead
    outcomes = run(map(delayed(_compute_each), repeat(compute), waveforms))
    progress = tqdm(outcomes, "Computing vectors", len(batches), leave=False)
    fresh: dict[bytes, np.ndarray] = {}
    failed: dict[str, str] = {}
    for count, (batch, vectors) in enumerate(zip(batches, progress, strict=True), 1):
        for i, vector in zip(batch, vectors, strict=True):
            if isinstance(vector, str):
                failed[dataset[i]["path"]] = vector
            else:
                fresh[digests[i]], shape = vector.ravel(), vector.shape
        if fresh and (count % BATCHES_KEPT == 0 or count == len(batches)):
            _write_cached_vectors(folder, fresh, shape)
            known |= fresh
            fresh = {}
    if failed:
        lines = [f"- '{path}': {reason}" for path, reason in failed.items()]
        raise ValueError(
            "\n".join([f"No finite vector of {pluralize(len(lines), 'file')}. Remove them from the corpus.", *lines])
        )
    return np.stack([known[digest] for digest in digests]).reshape(len(dataset), *shape)


def write_vectors(dataset: Dataset, vectors: np.ndarray, path: str | os.PathLike) -> None:
    """Write a Parquet table with the labels of each row and its flattened `vector`.

    Args:
        dataset: N rows.
        vectors: ``(N, …)``.
        path: File to write.
    """
    names = ("path", "corpus", "speaker", "gender", "emotion", "split", "utterance", "window_start", "window_end")
    table = dataset.select_columns(list(names)).with_format("arrow")[:]
    with whole_file(path) as partial:
        parquet.write_table(table.append_column("vector", _flatten_vectors(vectors)), partial)


def _compute_each(compute: Compute, waveforms: list[np.ndarray]) -> list[np.ndarray | str]:
    """Return the vector or the error message of each waveform; if a batch fails, its waveforms are tried one by one."""
    try:
        vectors = compute(waveforms)
    except (ImportError, MemoryError):  # not caused by a waveform
        raise
    except Exception as error:  # signal-processing libraries raise many types
        if len(waveforms) == 1:
            return [f"{type(error).__name__}: {error}"]
        return [outcome for waveform in waveforms for outcome in _compute_each(compute, [waveform])]
    return [vector if np.isfinite(vector).all() else "not finite" for vector in vectors]


def _flatten_vectors(vectors: Sequence[np.ndarray] | np.ndarray) -> pyarrow.Array:
    flat = np.asarray(vectors, dtype=np.float32).reshape(len(vectors), -1)
    return pyarrow.FixedSizeListArray.from_arrays(flat.ravel(), flat.shape[1])


def _read_cached_vectors(folder: Path) -> tuple[dict[bytes, np.ndarray], tuple[int, ...]]:
    """Return the cached vectors by the digest of the waveform, and their shape; damaged files are deleted."""
    known: dict[bytes, np.ndarray] = {}
    shape: tuple[int, ...] = ()
    for path in sorted(folder.glob("*.parquet")):
        content = path.read_bytes()
        try:
            vectors, shape = _parse_cached_vectors(content)
        except Exception as error:  # pyarrow raises many types
            logger.warning(f"Cache file '{path}' is damaged ({error}); its vectors are computed again.")
            path.unlink(missing_ok=True)
        else:
            known |= vectors
    return known, shape


def _parse_cached_vectors(content: bytes) -> tuple[dict[bytes, np.ndarray], tuple[int, ...]]:
    table = parquet.read_table(io.BytesIO(content), page_checksum_verification=True)
    shape = tuple(int(size) for size in table.schema.metadata[b"shape"].split())
    values = table["vector"].combine_chunks().flatten().to_numpy().reshape(len(table), math.prod(shape))
    return dict(zip(table["digest"].to_pylist(), values, strict=True)), shape


def _write_cached_vectors(folder: Path, vectors: dict[bytes, np.ndarray], shape: tuple[int, ...]) -> None:
    """Write vectors to a new file in the folder, so that concurrent processes never change the same file."""
    table = pyarrow.table({"digest": list(vectors), "vector": _flatten_vectors(list(vectors.values()))})
    content = io.BytesIO()
    table = table.replace_schema_metadata({"shape": " ".join(map(str, shape))})
    parquet.write_table(table, content, write_page_checksum=True)
    keep_file(folder / f"{uuid.uuid4().hex}.parquet", content.getvalue())
