"""A folder of this machine or of an object store (s3://, gs://, hf:// …), through fsspec."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec

from ser_hf.cache import explain_full_disk, whole_file

CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError", "DefaultCredentialsError")


class Store:
    """Read and write the files of a folder by their names.

    Attributes:
        url: The folder; a local one as absolute path.
        fs: The file system of fsspec.
        root: Path of the folder in the file system.
        is_local: Whether it is a folder of this machine.

    Examples:
        >>> store = Store(tempfile.mkdtemp())
        >>> store.add("parts/a.txt", b"1"), store.add("parts/a.txt", b"2"), store.read("parts/a.txt")
        (True, False, b'1')
        >>> store.names("parts")
        {'a.txt'}
    """

    def __init__(self, url: str | os.PathLike):
        url = os.fspath(url)
        if "://" not in url:
            url = os.path.abspath(os.path.expanduser(url))
        self.fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        self.url, self.root = url.rstrip("/"), root.rstrip("/")
        self.is_local = "file" in self.fs.protocol

    def path(self, name: str) -> str:
        """Return the path of a file in the file system."""
        return f"{self.root}/{name}"

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            OSError: If it does not exist or cannot be read.
        """
        with explain_credentials(self.url):
            return self.fs.cat_file(self.path(name))

    def exists(self, name: str) -> bool:
        """Return whether there is a file of this name."""
        with explain_credentials(self.url):
            return self.fs.exists(self.path(name))

    def names(self, folder: str) -> set[str]:
        """Return the names of the files in a folder; none if the folder does not exist."""
        try:
            with explain_credentials(self.url):
                paths = self.fs.ls(self.path(folder), detail=False)
        except FileNotFoundError:
            return set()
        return {path.rsplit("/", 1)[-1] for path in paths}

    def add(self, name: str, content: bytes) -> bool:
        """Write a file whole or not at all, unless there is one of this name already.

        A local file is written under another name, flushed and renamed. In an object store, it is one request, which
        the store refuses if the file exists, where the store has conditional requests.

        Returns:
            Whether the file was written.
        """
        with explain_credentials(self.url):
            if self.fs.exists(self.path(name)):
                return False
            if self.is_local:
                self._make_folder(name)
                with whole_file(self.path(name)) as partial:
                    partial.write_bytes(content)
                return True
            try:
                self.fs.pipe_file(self.path(name), content, mode="create")
            except FileExistsError:
                return False
            return True

    @contextmanager
    def replace(self, name: str) -> Iterator[Path]:
        """Yield a local path, whose content becomes that of the file `name` when the block ends without an error."""
        if self.is_local:
            self._make_folder(name)
            with whole_file(self.path(name)) as partial:
                yield partial
            return
        with tempfile.TemporaryDirectory() as folder, explain_credentials(self.url):
            yield (path := Path(folder, "content"))
            self.fs.put_file(str(path), self.path(name))

    def _make_folder(self, name: str) -> None:
        with explain_full_disk(self.root):
            os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)


@contextmanager
def explain_credentials(url: str) -> Iterator[None]:
    """Replace the error of a library for missing credentials, which is no OSError, by one sentence.

    Raises:
        PermissionError: If the credentials for a store are missing.
    """
    try:
        yield
    except Exception as error:
        if type(error).__name__ not in CREDENTIALS:
            raise
        raise PermissionError(
            f"No credentials for '{url}' ({error}): expected those of the store's own tools, such as AWS_PROFILE, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for s3://. Set them on every machine that runs the job."
        ) from error
