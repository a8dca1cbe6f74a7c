"""Bring the files of a shard onto this machine, some ahead of the model."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from ser_hf.archives.listing import Audio, local_path, read_state
from ser_hf.archives.store import Store, explain_credentials

AHEAD = 16  # files that are fetched at the same time


class Fetched(NamedTuple):
    """Hold a file on this machine.

    Attributes:
        key: Its key in the manifest.
        path: Where it is; if it has vanished from the store, there is no file.
        problem: Why it must not be used; None if it may.

    Examples:
        >>> Fetched("day 1/a.wav", "/tmp/x/0.wav", None).problem is None
        True
    """

    key: str
    path: str
    problem: str | None


def fetch(source: Store, files: Iterable[Audio], folder: str | os.PathLike) -> Iterator[Fetched]:
    """Yield files in order; files of a local store stay where they are.

    Args:
        source: The store.
        files: Files of its manifest.
        folder: Folder for copies; whoever uses a copy deletes it.

    Raises:
        OSError: If the store fails in another way than that a file is missing.
    """
    with ThreadPoolExecutor(AHEAD) as pool:
        waiting: deque[Future[Fetched]] = deque()
        for number, file in enumerate(files):
            target = Path(folder, f"{number}{os.path.splitext(file.key)[1]}")
            waiting.append(pool.submit(_fetch_one, source, file, target))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _fetch_one(source: Store, file: Audio, target: Path) -> Fetched:
    kept = source.is_local and file.tar is None
    path = local_path(source, file.key) if kept else str(target)
    try:
        with explain_credentials(source.url):
            if file.tar is not None:
                end = (file.offset or 0) + file.size
                target.write_bytes(source.fs.cat_file(local_path(source, file.tar), file.offset, end))
            elif not kept:
                source.fs.get_file(local_path(source, file.key), path)
            problem = _find_change(file, os.path.getsize(path), read_state(source, file.tar or file.key)[1])
    except FileNotFoundError:
        problem = f"'{file.key}' has vanished since it was planned. Restore it, or plan a new job without it."
    return Fetched(file.key, path, problem)


def _find_change(file: Audio, size: int, etag: str) -> str | None:
    """Return what has changed since the file was listed; a store without etags states nothing."""
    if size != file.size:
        change = f"expected {file.size} bytes as planned, found {size}"
    elif etag != file.etag and etag and file.etag:
        change = f"expected the version '{file.etag}' as planned, found '{etag}'"
    else:
        return None
    return f"'{file.key}' has changed: {change}. Plan a new job for it."
