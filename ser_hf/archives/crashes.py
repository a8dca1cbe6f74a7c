"""Find the files on which the decoder crashes, by decoding all files of a shard in a child process."""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from ser_hf.archives.fetching import fetch
from ser_hf.archives.listing import Audio
from ser_hf.archives.orphans import end_with_parent
from ser_hf.archives.store import Store
from ser_hf.data.decoder import open_audio

ATTEMPTS = 2  # a child process may also be killed by somebody else


def find_crashing(source: Store, files: Sequence[Audio], folder: str) -> dict[str, str]:
    """Return the error of each file, by key, on which the decoder ends its process or runs out of memory twice.

    Args:
        source: Store of the files.
        files: The files.
        folder: Empty folder for copies.
    """
    crashed = {}
    with _Child() as child:
        for found in fetch(source, files, folder):
            if not found.problem and not any(child.survives(found.path) for _ in range(ATTEMPTS)):
                crashed[found.key] = f"The decoder crashes on '{found.key}'. Convert the file, or leave it out."
    return crashed


class _Child:
    """Decode files in a child process, which is started again after it has ended."""

    def __enter__(self) -> "_Child":
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(1, context, initializer=end_with_parent)
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown()

    def survives(self, path: str) -> bool:
        try:
            self.pool.submit(decode_all, path).result()
        except Exception:  # of the decoder, such as MemoryError, or because the process has ended
            self.__exit__()
            self.__enter__()
            return False
        return True


def decode_all(path: str) -> None:
    """Decode a file to its end; an error of the file is none here, because it becomes a row later."""
    try:
        for _ in _blocks(path):
            pass
    except (ValueError, OSError, RuntimeError):
        return


def _blocks(path: str) -> Iterator[object]:
    reader = open_audio(path)
    reader.measure()
    yield from reader.blocks()
