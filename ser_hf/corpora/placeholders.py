"""Recognise files that are named like audio but stand for content that is elsewhere, or that failed to download."""

import os

LENGTH = 512  # bytes; enough for the first tag of a page

# Beginning of the content, in lower case -> what it is, and what to do.
BEGINNINGS = {
    b"version https://git-lfs": ("a pointer of Git LFS", "run 'git lfs install' and 'git lfs pull' in the clone"),
    b"/annex/objects/": ("a pointer of git-annex", "run 'git annex get .' in the clone (DataLad: 'datalad get .')"),
    b"<!doctype html": ("an HTML page", "download it again; the site may require a login or a confirmation"),
    b"<html": ("an HTML page", "download it again; the site may require a login or a confirmation"),
    b"<?xml": ("an XML text, such as the error message of a server", "download it again"),
    b"<error>": ("an XML text, such as the error message of a server", "download it again"),
    b"{": ("a JSON text, such as the error message of a server or a shortcut of a cloud drive", "download it again"),
    b"pk\x03\x04": ("a ZIP archive", "unpack it with 'unzip FILE'"),
    b"\x1f\x8b": ("a gzip archive", "unpack it with 'tar xf FILE' or 'gunzip'"),
}
EMPTY = ("an empty file", "copy or download it again")
OFFLINE = (
    "a placeholder of a cloud drive without content on this disk",
    "choose 'Always keep on this device' (OneDrive), 'Available offline' (Dropbox, Google Drive) for its folder",
)


def describe_placeholder(path: str | os.PathLike) -> str | None:
    """Return a sentence that says what a file is that cannot be read as audio, and what to do; None if unknown.

    Args:
        path: File that could not be decoded. Named pipes and devices are not opened.

    Examples:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     _ = file.write(b"version https://git-lfs.github.com/spec/v1")
        ...     file.flush()
        ...     describe_placeholder(file.name).partition("' ")[2]
        "is not audio but a pointer of Git LFS: run 'git lfs install' and 'git lfs pull' in the clone."
    """
    found = recognise_placeholder(path)
    return found and f"'{os.fspath(path)}' is not audio but {found[0]}: {found[1]}."


def recognise_placeholder(path: str | os.PathLike) -> tuple[str, str] | None:
    """Return what a file is that cannot be read as audio, and what to do, see `describe_placeholder`."""
    if not os.path.isfile(path):
        return None
    stat = os.stat(path)
    if not stat.st_size:
        return EMPTY
    if getattr(stat, "st_blocks", 1) == 0:
        return OFFLINE
    with open(path, "rb") as file:
        content = file.read(LENGTH).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return next((BEGINNINGS[start] for start in BEGINNINGS if content.startswith(start)), None)
