"""List the audio in a store: single files, and the members of tar files such as those of webdataset."""

import logging
import os
import tarfile
from collections.abc import Iterator
from typing import NamedTuple

from ser_hf.archives.store import Store, explain_credentials
from ser_hf.corpora.files import AUDIO_EXTENSIONS, LITTER, list_files, pluralize
from ser_hf.corpora.spelling import spell, unspell

logger = logging.getLogger(__name__)


class Audio(NamedTuple):
    """Hold one audio file of a store.

    Attributes:
        key: Path below the root of the store, with `spell` applied; of a member, the path of the tar file and its name.
        size: In bytes.
        etag: What the store states about the content: its hash, or else the time of its last change.
        tar: Key of the tar file that contains it; None for a file of its own.
        offset: First byte in the tar file; None for a file of its own.

    Examples:
        >>> Audio("day 1/a.wav", 32_044, "9f86d0").tar is None
        True
    """

    key: str
    size: int
    etag: str
    tar: str | None = None
    offset: int | None = None


def list_store(store: Store) -> Iterator[Audio]:
    """Yield the audio files and the audio in tar files of a store, at any depth; hidden files are ignored.

    What is left out is counted and logged: other files, and damaged tar files.

    Raises:
        FileNotFoundError: If the folder does not exist.
        PermissionError: If it must not be listed, or the credentials are missing.
    """
    others, damaged = [], []
    for found in _list_local(store) if store.is_local else _list_remote(store):
        suffix = os.path.splitext(found.key.lower())[1]
        if suffix in AUDIO_EXTENSIONS:
            yield found
        elif suffix == ".tar":
            try:
                yield from _list_tar(store, found)
            except tarfile.TarError as error:
                damaged.append(f"'{found.key}' ({error})")
        else:
            others.append(found.key)
    if others:
        logger.info(f"Left out {pluralize(len(others), 'file')} without an extension of audio (first: '{others[0]}').")
    if damaged:
        logger.warning(f"Left out the rest of {pluralize(len(damaged), 'damaged tar file')} (first: {damaged[0]}).")


def local_path(store: Store, key: str) -> str:
    """Return the path of a file in a store, whose key has been spelled."""
    return store.path(unspell(key))


def read_state(store: Store, key: str) -> tuple[int, str]:
    """Return the size and the etag that a file of a store has now.

    Raises:
        FileNotFoundError: If it does not exist.
        OSError: If the store fails.
    """
    if store.is_local:
        stated = os.stat(local_path(store, key))
        return stated.st_size, str(stated.st_mtime_ns)
    found = store.fs.info(local_path(store, key))
    return found["size"] or 0, _etag(found)


def _list_local(store: Store) -> Iterator[Audio]:
    if not os.path.isdir(store.root):
        raise FileNotFoundError(f"No folder '{store.root}': expected the folder of the archive.")
    listing = list_files(store.root)
    unread = listing._replace(audio=[], others=[]).describe(store.root)
    if unread:
        logger.warning(unread)
    for path in [*listing.audio, *listing.others]:
        key = spell(os.path.relpath(path, store.root).replace(os.sep, "/"))
        try:
            yield Audio(key, *read_state(store, key))
        except OSError:  # a link to a missing file, which becomes an error row
            yield Audio(key, 0, "")


def _list_remote(store: Store) -> Iterator[Audio]:
    try:
        with explain_credentials(store.url):
            for _, folders, files in store.fs.walk(store.root, detail=True, on_error="raise"):
                for name in [name for name in folders if _is_hidden(name)]:
                    del folders[name]
                for name, found in files.items():
                    if name and not _is_hidden(name):
                        yield Audio(spell(found["name"][len(store.root) + 1 :]), found["size"] or 0, _etag(found))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"Nothing is stored under '{store.url}': expected the folder of the archive."
        ) from error


def _list_tar(store: Store, tar: Audio) -> Iterator[Audio]:
    with (
        explain_credentials(store.url),
        store.fs.open(local_path(store, tar.key), "rb") as file,
        tarfile.open(fileobj=file, mode="r:") as members,
    ):
        for member in members:
            members.members = []  # type: ignore[attr-defined]  # all members so far, a list that grows
            if member.isfile() and os.path.splitext(member.name.lower())[1] in AUDIO_EXTENSIONS:
                key = f"{tar.key}/{spell(member.name)}"
                yield Audio(key, member.size, tar.etag, tar.key, member.offset_data)


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "~$")) or name.lower() in LITTER


def _etag(found: dict) -> str:
    """Return what a store states about the content of a file, under the name that each gives it."""
    for name in ("ETag", "etag", "blob_id", "md5Hash", "LastModified", "mtime"):
        if found.get(name):
            return str(found[name]).strip('"')
    return ""
