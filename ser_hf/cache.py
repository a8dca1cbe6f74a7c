"""Where the cache is, and how a file is written: whole, or not at all."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder of all files that can be computed again: `$SER_HF_CACHE`, or `~/.cache/ser_hf`."""
    return Path(os.environ.get("SER_HF_CACHE", "~/.cache/ser_hf")).expanduser()


@contextmanager
def whole_file(path: str | os.PathLike, *, flush: bool = True) -> Iterator[Path]:
    """Give a path to write to, which replaces `path` in one step at the end; after an error, `path` is unchanged.

    Args:
        path: The file; its folder exists.
        flush: Wait until the content is on the disk before the replacement, so that a power cut leaves the old file or
            the new one. False suits a cache, whose damaged files are computed again.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with whole_file(folder / "scores.txt") as partial:
        ...     _ = partial.write_text("0.5")
        >>> [path.name for path in folder.iterdir()]
        ['scores.txt']
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        yield partial
        if flush:
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file in UTF-8 in one step."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def keep_file(path: Path, content: bytes) -> None:
    """Write a file of the cache in one step, so that other processes see the whole of it or none.

    Raises:
        RuntimeError: If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, flush=False) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise RuntimeError(
            f"Cannot write to the cache '{cache_folder()}': {error}. Set SER_HF_CACHE to a folder with free space."
        ) from error
