"""The cache folder, atomic writing of files, and the error for a full disk."""

import glob
import os
import platform
import re
import shutil
import time
import uuid
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path

import psutil

PARTIAL = ".partial"  # end of the name of a file that is being written
SAFETENSORS_PARTIAL = ".tmp??????"  # its name while safetensors writes it
# In the messages of the operating system, of libraries in Rust, of SQLite and of torch if a disk is full.
DISK_FULL = (
    "No space left on device", "Disk quota exceeded", "os error 28", "database or disk is full",
    "PytorchStreamWriter failed",
)  # fmt: skip
OLD = 24 * 3600  # seconds; an incomplete file of another machine that is older has no living process
HOST = f"{zlib.crc32(platform.node().encode()):08x}"  # this machine, in names of incomplete files


def cache_folder() -> Path:
    """Return the folder for files that can be recomputed: `$SER_HF_CACHE`, by default `~/.cache/ser_hf`."""
    return Path(os.environ.get("SER_HF_CACHE", "~/.cache/ser_hf")).expanduser()


@contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[Path]:
    """Write a file atomically: write to a temporary path, which replaces `path` when the block ends without an error.

    Args:
        path: The file to write; its folder must exist. It is flushed to the disk before the replacement, so that a
            power failure leaves either the old file or the complete new one. What an interrupted process left of the
            same file is removed.

    Yields:
        The temporary path to write to, in the same folder.

    Raises:
        OSError: If the disk is full, see `explain_full_disk`, or the file cannot be written.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with whole_file(folder / "scores.txt") as partial:
        ...     _ = partial.write_text("0.5")
        >>> [path.name for path in folder.iterdir()]
        ['scores.txt']
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{_unique_name()}{PARTIAL}")
    try:
        with explain_full_disk(path.parent):
            _remove_abandoned(path.parent.glob(f".{glob.escape(path.name)}.*{PARTIAL}"))
            yield partial
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def is_partial(path: Path) -> bool:
    """Return whether a file is an incomplete one, of `whole_file` or of safetensors."""
    return fnmatch(path.name, f".*{PARTIAL}") or fnmatch(path.name, SAFETENSORS_PARTIAL)


def remove_partial_files(paths: Iterable[Path]) -> None:
    """Remove the incomplete files among `paths`, which an interrupted process left; no other process may write them."""
    for path in paths:
        if is_partial(path):
            path.unlink(missing_ok=True)


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
    partial = cache_folder() / "partial" / f"{_unique_name()}{PARTIAL}"
    try:
        with explain_full_disk(cache_folder()):
            for folder in (path.parent, partial.parent):
                folder.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(partial.parent.iterdir())
            partial.write_bytes(content)
            partial.replace(path)
    except OSError as error:
        raise RuntimeError(
            f"Cannot write to the cache '{cache_folder()}': {error} Set SER_HF_CACHE to choose another folder."
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def explain_full_disk(folder: str | os.PathLike) -> Iterator[None]:
    """Replace any error of a library because of a full disk by one sentence, while files are written to a folder.

    Args:
        folder: The folder, which the block may create: enter this block before a lock or another file in it.

    Raises:
        OSError: If the disk of the folder is full; what was written before stays, so that the work can be resumed.
    """
    try:
        yield
    except Exception as error:
        if not _is_full(error):
            raise
        present = next(path for path in (Path(folder), *Path(folder).absolute().parents) if path.exists())
        free = shutil.disk_usage(present).free / 1e9
        raise OSError(
            f"The disk of '{folder}' is full ({free:.1f} GB free). Make space and run the same command again: it "
            "continues where it stopped."
        ) from error


def _is_full(error: BaseException | None) -> bool:
    """Return whether an error, or an error that led to it, says that a disk is full."""
    while error is not None:
        if any(text in str(error) for text in DISK_FULL):
            return True
        error = error.__cause__ or error.__context__
    return False


def _unique_name() -> str:
    """Return a name that no other process uses and that tells which process wrote the file."""
    return f"{HOST}-{os.getpid()}-{uuid.uuid4().hex[:12]}"


def _remove_abandoned(paths: Iterable[Path]) -> None:
    """Remove the incomplete files whose process has ended; of processes on other machines, those that are old."""
    for path in paths:
        process = re.search(rf"\b{HOST}-(\d+)-\w+{re.escape(PARTIAL)}$", path.name)
        with suppress(FileNotFoundError):  # moved or removed by another process
            ended = not psutil.pid_exists(int(process[1])) if process else time.time() - path.stat().st_mtime > OLD
            if ended:
                path.unlink()
