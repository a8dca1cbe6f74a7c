"""Find the audio files of a corpus, match their names, and read the tables of its owners."""

import csv
import difflib
import logging
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

# libsndfile reads the first row. Files of the second row are reported as unreadable instead of being ignored.
AUDIO_EXTENSIONS = {
    ".wav", ".flac", ".mp3", ".ogg", ".opus", ".aiff", ".aif", ".aifc", ".au", ".caf", ".w64",
    ".m4a", ".mp4", ".aac", ".wma", ".webm", ".amr",
}  # fmt: skip

logger = logging.getLogger(__name__)


def audio_files(root: str | os.PathLike, *, allow_outside: bool = False) -> list[str]:
    """List the audio files at any depth under a folder, sorted; hidden files and folders are ignored.

    Links to folders are not followed; one warning counts them.

    Args:
        root: Folder to search.
        allow_outside: Accept audio files that are links to a target outside `root` or to a missing file.

    Returns:
        Path of each file, starting with `root`.

    Raises:
        FileNotFoundError: If `root` is not a folder.
        ValueError: If an audio file is a link to a target outside `root` and `allow_outside` is False.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"data_root '{root}' is not a folder: expected the folder of the corpus.")
    found, links, folders = [], [], [str(root)]
    linked: list[str] = []
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    (linked if entry.is_symlink() else folders).append(entry.path)
                elif os.path.splitext(entry.name)[1].lower() in AUDIO_EXTENSIONS:
                    found.append(entry.path)
                    if entry.is_symlink():
                        links.append(entry.path)
    if not allow_outside:
        _refuse_outside(links, root)
    if linked:
        logger.warning(f"Skipped {len(linked)} links to folders under '{root}' (first: {min(linked)}).")
    return sorted(found)


def _refuse_outside(links: list[str], root: Path) -> None:
    inside = os.path.join(os.path.realpath(root), "")
    if outside := sorted(path for path in links if not os.path.realpath(path).startswith(inside)):
        raise ValueError(
            f"{len(outside)} audio files under '{root}' are links to files outside it: expected audio files, "
            f"found '{outside[0]}' -> '{os.path.realpath(outside[0])}'. Copy the files (cp -rL), or pass as data_root "
            "the folder that contains both links and files, or use the corpus 'table' with --allow_outside."
        )


def match_names(root: str | os.PathLike, grammar: str, *, corpus: str, example: str) -> Iterator[tuple[str, re.Match]]:
    """Yield each audio file whose path matches the grammar of the corpus, with the match, sorted by path.

    One warning counts the files that do not match.

    Args:
        root: Folder of the corpus.
        grammar: Regular expression (verbose) that matches the end of the path below `root`, written with `/` and
            without extension. It starts at the beginning of a folder name or of the file name.
        corpus: Usual name of the corpus, for messages.
        example: A matching path with extension, for messages.

    Yields:
        Path and match.

    Raises:
        FileNotFoundError: If `root` is not a folder, or no file matches.
    """
    expression = re.compile(f"(?:.*/)?(?:{grammar})", re.VERBOSE)
    paths = audio_files(root)
    below = len(str(Path(root).expanduser())) + 1
    others = []
    for path in paths:
        name = path[below:].replace(os.sep, "/")
        if match := expression.fullmatch(os.path.splitext(name)[0]):
            yield path, match
        else:
            others.append(name)
    if len(others) == len(paths):
        raise FileNotFoundError(no_utterances(root, others, corpus=corpus, example=example))
    if others:
        logger.warning(
            f"Skipped {len(others)} of {len(paths)} audio files under '{root}': expected names like {example} "
            f"(first: {others[0]})."
        )


def first_copies(
    files: Iterable[tuple[str, re.Match]],
    *,
    corpus: str,
    name: Callable[[re.Match], str] = lambda match: os.path.basename(match.string),
) -> dict[str, tuple[str, re.Match]]:
    """Keep the first file of each name; one warning counts the others.

    Args:
        files: Paths and matches, as `match_names` yields them.
        corpus: Usual name of the corpus, for messages.
        name: Function from a match to its name; by default the file name without extension.

    Returns:
        Path and match by name.
    """
    kept: dict[str, tuple[str, re.Match]] = {}
    copies = []
    for path, match in files:
        if kept.setdefault(name(match), (path, match))[0] != path:
            copies.append(path)
    if copies:
        logger.warning(
            f"Left out {len(copies)} {corpus} files as duplicates by name; their audio was not compared "
            f"(first: {copies[0]})."
        )
    return kept


def pair_names(
    labelled: Collection[str], audible: Collection[str], root: str | os.PathLike, *, corpus: str, example: str
) -> list[str]:
    """Return the sorted names of the utterances that have both a label and an audio file.

    One warning counts the utterances without audio, another those without label.

    Args:
        labelled: Names of the utterances in the tables of the corpus.
        audible: Names of the audio files, without extension.
        root: Folder of the corpus, for messages.
        corpus: Usual name of the corpus, for messages.
        example: Path of an utterance, for messages.

    Raises:
        FileNotFoundError: If no utterance has both.
    """
    labelled, audible = set(labelled), set(audible)
    if not labelled & audible:
        raise FileNotFoundError(no_utterances(root, sorted(audible), corpus=corpus, example=example))
    for names, lack in ((labelled - audible, "audio"), (audible - labelled, "label")):
        if names:
            logger.warning(f"Left out {len(names)} {corpus} utterances without {lack} (first: {min(names)}).")
    return sorted(labelled & audible)


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


def no_utterances(root: str | os.PathLike, names: list[str], *, corpus: str, example: str) -> str:
    """Return the error message for a folder without utterances: expected file names and the nearest name found."""
    near = difflib.get_close_matches(example, names, n=1, cutoff=0.0)
    seen = f"of {len(names)} audio files the nearest is '{near[0]}'" if near else "found no audio file"
    return (
        f"No {corpus} utterances under '{root}': expected files like {example}, {seen}. Is data_root the folder of the "
        "unpacked corpus?"
    )
