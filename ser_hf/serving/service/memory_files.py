"""Give audio in memory a path, so that it is decoded like a file."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def memory_file(content: bytes) -> Iterator[str]:
    """Yield a path at which the content can be read: of a file in memory on Linux, elsewhere of a temporary file.

    The file is removed at the end. Its path is valid in other processes of the user too, such as ffmpeg.

    Examples:
        >>> with memory_file(b"content") as path:
        ...     open(path, "rb").read()
        b'content'
    """
    if hasattr(os, "memfd_create"):
        with open(os.memfd_create("recording"), "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/{os.getpid()}/fd/{file.fileno()}"
        return
    with tempfile.TemporaryDirectory() as folder:  # on Windows, an open temporary file cannot be opened again
        path = os.path.join(folder, "recording")
        with open(path, "wb") as file:
            file.write(content)
        yield path
