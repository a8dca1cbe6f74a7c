"""The cache folder, and atomic writing of files."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder for files that can be recomputed: `$SER_HF_CACHE`, by default `~/.cache/ser_hf`."""
    return Path(os.environ.get("SER_HF_CACHE", "~/.cache/ser_hf")).expanduser()


@contextmanager
def whole_file(path: str | os.PathLike, *, flush: bool = True) -> Iterator[Path]:
    """Write a file atomically: write to a temporary path, which replaces `path` when the block ends without an error.

    Args:
        path: The file to write; its folder must exist.
        flush: Whether to wait until the content is on the disk before the replacement, so that a power failure leaves
            either the old file or the complete new one. False suits a cache, where damaged files are recomputed.

    Yields:
        The temporary path to write to, in the same folder.

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
    """Write a text file in UTF-8 atomically."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def keep_file(path: Path, content: bytes) -> None:
    """Write a file of the cache atomically, so that other processes never read an incomplete file.

    Args:
        path: The file to write; its folder is created if necessary.
        content: The content of the file.

    Raises:
        RuntimeError: If the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, flush=False) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise RuntimeError(
            f"Cannot write to the cache '{cache_folder()}': {error}. Set SER_HF_CACHE to a folder with free space."
        ) from error
