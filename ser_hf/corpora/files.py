"""Find the audio files of a corpus, name the files that are not read, and read the tables of its owners."""

import csv
import errno
import logging
import mimetypes
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

# Files that libsndfile reads, by their usual extensions.
SNDFILE_EXTENSIONS = frozenset({
    ".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".mp3", ".mp2", ".mpga", ".ogg", ".oga", ".opus", ".aiff",
    ".aif", ".aifc", ".au", ".snd", ".caf", ".voc", ".sph", ".nist", ".paf", ".pvf", ".avr", ".ircam", ".svx",
})  # fmt: skip
# Recordings and videos that need FFmpeg; without it, they are reported as unreadable instead of being ignored.
FFMPEG_EXTENSIONS = frozenset({
    ".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".aac", ".3gp", ".3gpp", ".3g2", ".amr", ".awb", ".gsm", ".qcp", ".wma",
    ".wmv", ".asf", ".webm", ".weba", ".mka", ".mkv", ".avi", ".flv", ".mpg", ".mpeg", ".mts", ".vob", ".ogv", ".spx",
    ".ape", ".wv", ".tta", ".tak", ".shn", ".mpc", ".ac3", ".dts", ".ra", ".rm",
})  # fmt: skip
AUDIO_EXTENSIONS = SNDFILE_EXTENSIONS | FFMPEG_EXTENSIONS
# Labels and features that lie beside audio, apart from the texts, images and archives of `mimetypes`.
ANNOTATIONS = frozenset({".lab", ".textgrid", ".eaf", ".trs", ".md", ".yaml", ".yml", ".npy", ".npz", ".parquet"})
# Files and folders that macOS, Windows and network drives create.
LITTER = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}
LITTER |= {"__macosx", "$recycle.bin", "system volume information", "@eadir", "lost+found"}

logger = logging.getLogger(__name__)


class Listing(NamedTuple):
    """Hold the paths below a folder by what they are, each list sorted.

    Examples:
        >>> Listing(["a/b.wav"], others=["a/b.txt", "a/notes.txt"]).describe("a")
        "Not read under 'a': 2 files without an extension of audio (2 .txt; first: 'b.txt')."
    """

    audio: list[str]  # files with an extension of audio
    others: Sequence[str] = ()  # all other files
    links: Sequence[str] = ()  # links to folders
    closed: Sequence[str] = ()  # folders that cannot be opened
    special: Sequence[str] = ()  # named pipes, devices and sockets
    absent: Sequence[str] = ()  # placeholders of iCloud, whose content is not on this disk

    @property
    def is_harmless(self) -> bool:
        """Whether all that is not read are documents, see `is_document`."""
        return all(map(is_document, self.others)) and not any(self[2:])

    def describe(self, root: str | os.PathLike) -> str:
        """Return a sentence that counts and names what is not read; an empty text if all is read."""
        root = Path(root).expanduser()
        kinds = Counter(os.path.splitext(path)[1].lower() or "without any" for path in self.others)
        listed = [f"{count} {kind}" for kind, count in kinds.most_common(8)] + ["…"] * (len(kinds) > 8)
        reasons = (
            (self.others, "file", " without an extension of audio", f"{', '.join(listed)}; "),
            (self.links, "link", " to a folder" if len(self.links) == 1 else " to folders", ""),
            (self.closed, "folder", " that cannot be opened", ""),
            (self.special, "special file", " (named pipe, device or socket)", ""),
            (self.absent, "placeholder", " of iCloud, which 'brctl download FILE' downloads", ""),
        )
        counts = [
            f"{pluralize(len(paths), noun)}{what} ({kinds_of}first: '{os.path.relpath(paths[0], root)}')"
            for paths, noun, what, kinds_of in reasons
            if paths
        ]
        return f"Not read under '{root}': {', '.join(counts)}." if counts else ""


def pluralize(number: int, noun: str) -> str:
    """Return a number with its noun.

    Examples:
        >>> pluralize(1, "speaker"), pluralize(2, "speaker")
        ('1 speaker', '2 speakers')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def list_files(root: str | os.PathLike) -> Listing:
    """List the files at any depth under a folder; hidden files and folders, and `LITTER`, are ignored.

    Links to folders are not followed, folders that cannot be opened are skipped, and special files such as named pipes
    are among the others.

    Raises:
        FileNotFoundError: If `root` is not a folder.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"data_root '{root}' is not a folder: expected the folder of the corpus.")
    found: dict[str, list[str]] = {kind: [] for kind in Listing._fields}
    folders = [str(root)]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    _sort_entry(entry, found, folders)
        except PermissionError:
            found["closed"].append(folder)
    return Listing(**{kind: sorted(paths) for kind, paths in found.items()})


def _sort_entry(entry: os.DirEntry, found: dict[str, list[str]], folders: list[str]) -> None:
    """Add a path to one of the lists; a folder is added to `folders`."""
    name = entry.name.lower()
    if name.startswith(".") or name.startswith("~$") or name in LITTER:
        if name.endswith(".icloud"):
            found["absent"].append(entry.path)
        return
    try:
        is_folder, is_file = entry.is_dir(), entry.is_file()
    except OSError as error:
        if error.errno != errno.ELOOP:  # a link to itself, which is a file that cannot be read
            raise
        is_folder, is_file = False, False
    if is_folder:
        (found["links"] if entry.is_symlink() else folders).append(entry.path)
    elif not is_file and not entry.is_symlink():
        found["special"].append(entry.path)
    else:
        found["audio" if os.path.splitext(name)[1] in AUDIO_EXTENSIONS else "others"].append(entry.path)


def audio_files(root: str | os.PathLike, *, allow_outside: bool = False) -> list[str]:
    """List the audio files at any depth under a folder, sorted, and log once which other files there are.

    Args:
        root: Folder to search, see `list_files`.
        allow_outside: Accept audio files that are links to a target outside `root` or to a missing file.

    Returns:
        Path of each file, starting with `root`.

    Raises:
        FileNotFoundError: If `root` is not a folder.
        ValueError: If an audio file is a link to a target outside `root` and `allow_outside` is False.
    """
    listing = list_files(root)
    if not allow_outside:
        _refuse_outside(listing.audio, Path(root).expanduser())
    if message := listing.describe(root):
        log_once(logging.INFO if listing.is_harmless else logging.WARNING, message)
    return listing.audio


def is_document(path: str) -> bool:
    """Return whether the extension of a file is one of labels, texts, images, features or archives.

    Examples:
        >>> [name for name in ("a.txt", "a.TextGrid", "a.csv.gz", "x/README", "a.xyz", "a") if is_document(name)]
        ['a.txt', 'a.TextGrid', 'a.csv.gz', 'x/README']
    """
    kind, encoding = mimetypes.MimeTypes().guess_type(path)  # without the types that are set on this machine
    known = bool(encoding) or (kind or "").startswith(("text", "image", "application"))
    name = os.path.basename(path).lower()
    return known or os.path.splitext(name)[1] in ANNOTATIONS or name.startswith(("readme", "licen", "changelog"))


@lru_cache(1_000)
def log_once(level: int, message: str) -> None:
    """Log a message unless it was logged before: several steps of one command list the same folder."""
    logger.log(level, message)


def _refuse_outside(paths: list[str], root: Path) -> None:
    inside = os.path.join(os.path.realpath(root), "")
    links = (path for path in paths if os.path.islink(path))
    if outside := [path for path in links if not os.path.realpath(path).startswith(inside)]:
        raise ValueError(
            f"{pluralize(len(outside), 'link')} under '{root}' to audio files outside it: expected audio files, "
            f"found '{outside[0]}' -> '{os.path.realpath(outside[0])}'. Copy the files (cp -rL), or pass as data_root "
            "the folder that contains both links and files, or use the corpus 'table' with --allow_outside."
        )


def read_table(path: Path, *columns: str, **dialect) -> Iterator[dict[str, str]]:
    """Yield the rows of a corpus table in UTF-8, with or without byte order mark; invalid bytes become U+FFFD.

    Args:
        path: Table to read.
        *columns: Columns that the table must have.
        **dialect: Arguments of `csv.DictReader`.

    Yields:
        Cells by column.

    Raises:
        ValueError: If a column is missing.
    """
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        rows = csv.DictReader(lines, restval="", **dialect)
        header = rows.fieldnames or []
        if missing := [name for name in columns if name not in header]:
            raise ValueError(
                f"Table '{path}' lacks {missing}: expected the columns {list(columns)}, found {header}. Is it the "
                "original table of the corpus?"
            )
        yield from rows
