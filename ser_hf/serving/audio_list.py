"""List the audio that is to be predicted, with what is known about it; this module does not import torch."""

import glob
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ser_hf.corpora.files import AUDIO_EXTENSIONS, audio_files, list_files, pluralize
from ser_hf.corpora.spelling import as_utf8
from ser_hf.corpora.table import locator, read_fields
from ser_hf.corpora.table_rows import READERS
from ser_hf.data.audio import read_header
from ser_hf.data.segment_fit import describe_misfit
from ser_hf.serving.prediction_table import Key, Known, rename_input
from ser_hf.serving.speaker_turns import Turn, overlap_test, read_rttm, read_turns

RTTM = ".rttm"

logger = logging.getLogger(__name__)


def list_audio(paths: Sequence[str], columns: Mapping[str, str]) -> list[tuple[str, float | None, float | None]]:
    """Return path, start and end in seconds of all audio in files, folders, globs and tables, see `list_rows`."""
    return [key[:3] for key in list_rows(paths, columns)]


def list_rows(paths: Sequence[str], columns: Mapping[str, str]) -> dict[Key, Known]:
    """Return what is known about all audio in files, folders, globs, tables and RTTM, without duplicates.

    Args:
        paths: Paths as on the command line; single files may be missing. The recordings of an RTTM are the audio files
            with their names beside it.
        columns: Field -> column of the tables, if it is not detected automatically.

    Returns:
        Path, start and end in seconds -> the other columns of the table as text, or speaker and overlap of an RTTM.

    Raises:
        FileNotFoundError: If a folder or a glob contains no audio, or none of the files exists.
        ValueError: If a table has no column of paths, or a cell is invalid.
    """
    found = {path: list(_expand(path, columns)) for path in paths}
    if empty := [path for path, inside in found.items() if not inside]:
        folders = [path for path in empty if os.path.isdir(os.path.expanduser(path))]
        unread = "".join(f" {list_files(folder).describe(folder)}" for folder in folders)
        raise FileNotFoundError(
            f"No audio in {empty}: expected audio files, folders or globs of them, tables or RTTM.{unread.rstrip()}"
        )
    rows: dict[Key, Known] = {}
    for key, known in (row for inside in found.values() for row in inside):
        rows.setdefault(key, known)
    keys = list(rows)
    if misfit := describe_misfit([key[:3] for key in keys]):
        logger.warning(misfit)
    if not any(os.path.exists(path) for path, *_ in keys):
        raise FileNotFoundError(
            f"Expected audio files, found none of {len(keys)} (first: '{keys[0][0]}'). Check the paths."
        )
    return rows


def split_turns(rows: Mapping[Key, Known], speakers: str) -> dict[Key, Known]:
    """Return a row for each turn of the recordings, with the columns speaker and overlap.

    Args:
        rows: Rows of whole files, from `list_rows`.
        speakers: Who speaks when, see `read_turns`; of several recordings, an RTTM that names them.

    Raises:
        ValueError: If a row is a part of a file, the file holds no turn of a recording, or it is no RTTM and there are
            several recordings.
    """
    if parts := [path for path, *times in rows if times != [None, None]]:
        raise ValueError(f"speakers: expected whole files, found a part of '{parts[0]}' in a table.")
    if len(rows) == 1:
        turns = {path: read_turns(speakers, path) for path, *_ in rows}
    elif Path(speakers).suffix.lower() != RTTM:
        raise ValueError(
            f"speakers: expected an RTTM, which names its recordings, found '{speakers}' for {len(rows)} files. "
            "Predict each file with its own, or pass a table with the columns path, start, end and speaker as PATHS."
        )
    else:
        known = read_rttm(speakers)
        if absent := [path for path, *_ in rows if Path(path).stem not in known]:
            raise ValueError(
                f"'{speakers}' holds turns of {', '.join(sorted(known)[:5])}, and none of '{Path(absent[0]).stem}'."
            )
        turns = {path: known[Path(path).stem] for path, *_ in rows}
    found = {
        key: _add(about, more) for (path, *_), about in rows.items() for key, more in _list_turns(path, turns[path])
    }
    if misfit := describe_misfit([key[:3] for key in found]):
        logger.warning(f"speakers: {misfit}")
    return found


def split_channels(rows: Mapping[Key, Known], names: Sequence[str] = ()) -> dict[Key, Known]:
    """Return a row for each channel of each file, with the column speaker.

    A file that cannot be read, or has one channel, has one row, which becomes an error row.

    Args:
        rows: Rows of files or of their parts, from `list_rows`.
        names: Speaker of each channel; without names, they are "channel 1", "channel 2" and so on.

    Raises:
        ValueError: If all files have one channel, names are missing or repeated, or their number is not that of the
            channels of each file.
    """
    if len({name.strip() for name in names} - {""}) != len(names):
        raise ValueError(f"channel_names: expected different names, found {list(names)}.")
    found: dict[Key, Known] = {}
    mono = 0
    for (path, start, end, *_), known in rows.items():
        try:
            channels = read_header(path).channels
        except (ValueError, OSError):
            found[path, start, end, 1] = known
            continue
        if names and len(names) != channels:
            raise ValueError(
                f"'{path}' has {pluralize(channels, 'channel')}: expected {len(names)}, because there are "
                f"{len(names)} channel_names. Predict it on its own, or leave out the names."
            )
        if channels == 1:
            mono += 1
            found[path, start, end, 2] = known  # the channel that it lacks, for the error row
            continue
        for number in range(1, channels + 1):
            speaker = names[number - 1] if names else f"channel {number}"
            found[path, start, end, number] = _add(known, {"speaker": speaker})
    if mono == len(rows):
        raise ValueError(f"'{next(iter(rows))[0]}' has one channel: expected a recording with a speaker per channel.")
    return found


def _add(known: Known, more: Known) -> Known:
    """Add columns to those of the input; columns of the input with the same names are renamed."""
    return {rename_input(name, known) if name in more else name: value for name, value in known.items()} | more


def _list_turns(path: str, turns: Sequence[Turn]) -> Iterator[tuple[Key, Known]]:
    overlaps = overlap_test(turns)
    for turn in turns:
        yield (path, turn.start, turn.end), {"speaker": turn.speaker, "overlap": overlaps(turn)}


def _expand(name: str, columns: Mapping[str, str]) -> Iterator[tuple[Key, Known]]:
    path = Path(name).expanduser()
    if path.is_dir():
        yield from (((file, None, None), {}) for file in audio_files(path, allow_outside=True))
    elif path.is_file() and path.suffix.lower() in READERS:
        yield from _read_paths(path, columns)
    elif path.is_file() and path.suffix.lower() == RTTM:
        for recording, turns in read_rttm(path).items():
            yield from _list_turns(_find_recording(path.parent, recording), turns)
    elif glob.has_magic(name) and not path.exists():
        for match in sorted(glob.glob(str(path), recursive=True)):
            yield from _expand(match, columns)
    else:
        yield (str(path), None, None), {}


def _find_recording(folder: Path, name: str) -> str:
    """Return the audio file with a name; a missing one is called .wav, and becomes an error row."""
    if Path(name).name != name:
        raise ValueError(f"RTTM: expected the name of a recording, found '{name}'.")
    named = sorted(folder.glob(f"{glob.escape(name)}.*"))
    present = [path for path in named if path.suffix.lower() in AUDIO_EXTENSIONS]
    return str(present[0] if present else folder / f"{name}.wav")


def _read_paths(table: Path, columns: Mapping[str, str]) -> Iterator[tuple[Key, Known]]:
    """Yield the rows of a table; times that are no numbers are counted in one warning and left out."""
    locate = locator(table.parent, allow_outside=True)
    unread = []
    for _, fields in read_fields(table, columns, locate=locate, only=("path", "start", "end"), keep=True):
        if "problem" in fields and not {"start", "end"} & fields.keys():
            unread.append(fields["problem"])
        else:  # times in the wrong order become an error row
            known: Known = {name: None if cell is None else as_utf8(str(cell)) for name, cell in fields["kept"].items()}
            yield (fields["path"], fields.get("start"), fields.get("end")), known
    if unread:
        logger.warning(f"Left out {pluralize(len(unread), 'row')} (first: {unread[0]}).")
