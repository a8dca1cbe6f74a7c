"""List the audio files that are to be predicted; this module does not import torch."""

import glob
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ser_hf.corpora.files import audio_files, list_files, pluralize
from ser_hf.corpora.table import locator, read_fields
from ser_hf.corpora.table_rows import READERS
from ser_hf.data.segment_fit import describe_misfit
from ser_hf.serving.prediction_table import Key

logger = logging.getLogger(__name__)


def list_audio(paths: Sequence[str], columns: Mapping[str, str]) -> list[Key]:
    """Return path, start and end in seconds of all audio in files, folders, globs and tables, without duplicates.

    Args:
        paths: Paths as on the command line; single files may be missing.
        columns: Field -> column of the tables, if it is not detected automatically.

    Raises:
        FileNotFoundError: If a folder or a glob contains no audio, or none of the files exists.
        ValueError: If a table has no column of paths, or a cell is invalid.
    """
    found = {path: list(_expand(path, columns)) for path in paths}
    if empty := [path for path, inside in found.items() if not inside]:
        folders = [path for path in empty if os.path.isdir(os.path.expanduser(path))]
        unread = "".join(f" {list_files(folder).describe(folder)}" for folder in folders)
        raise FileNotFoundError(
            f"No audio in {empty}: expected audio files, folders or globs of them, or tables.{unread.rstrip()}"
        )
    keys = list(dict.fromkeys(key for inside in found.values() for key in inside))
    if misfit := describe_misfit(keys):
        logger.warning(misfit)
    if not any(os.path.exists(path) for path, *_ in keys):
        raise FileNotFoundError(f"None of the {len(keys)} files exists (first: '{keys[0][0]}'). Check the paths.")
    return keys


def _expand(name: str, columns: Mapping[str, str]) -> Iterator[Key]:
    path = Path(name).expanduser()
    if path.is_dir():
        yield from ((file, None, None) for file in audio_files(path, allow_outside=True))
    elif path.is_file() and path.suffix.lower() in READERS:
        yield from _read_paths(path, columns)
    elif glob.has_magic(name) and not path.exists():
        for match in sorted(glob.glob(str(path), recursive=True)):
            yield from _expand(match, columns)
    else:
        yield str(path), None, None


def _read_paths(table: Path, columns: Mapping[str, str]) -> Iterator[Key]:
    """Yield path, start and end of each row; times that are no numbers are counted in one warning and left out."""
    locate = locator(table.parent, allow_outside=True)
    unread = []
    for _, fields in read_fields(table, columns, locate=locate, only=("path", "start", "end")):
        if "problem" in fields and not {"start", "end"} & fields.keys():
            unread.append(fields["problem"])
        else:  # times in the wrong order become an error row
            yield fields["path"], fields.get("start"), fields.get("end")
    if unread:
        logger.warning(f"Left out {pluralize(len(unread), 'row')} (first: {unread[0]}).")
