"""Where the audio files of a corpus lie, which of them bear its names, and what its tables say."""

import csv
import difflib
import logging
import os
import re
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from pathlib import Path

# libsndfile reads the first row; the second is listed as unreadable, with the way out, rather than overlooked.
AUDIO_EXTENSIONS = {
    ".wav", ".flac", ".mp3", ".ogg", ".opus", ".aiff", ".aif", ".aifc", ".au", ".caf", ".w64",
    ".m4a", ".mp4", ".aac", ".wma", ".webm", ".amr",
}  # fmt: skip

logger = logging.getLogger(__name__)


def audio_files(root: str | os.PathLike, *, allow_outside: bool = False) -> list[str]:
    """List the audio files at any depth under `root`, sorted; hidden files and folders are left out.

    Links to folders are not followed, but counted in a warning.

    Args:
        root: The folder.
        allow_outside: Let audio files be links that lead out of it, or nowhere.

    Raises:
        FileNotFoundError: If `root` is not a folder.
        ValueError: If an audio file is a link that leads out of `root`, and none may.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"data_root '{root}' is not a folder: expected the folder of the corpus.")
    found, links, folders, linked = [], [], [str(root)], []
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
        logger.warning(f"Passed over {len(linked)} links to folders under '{root}' (first: {min(linked)}).")
    return sorted(found)


def _refuse_outside(links: list[str], root: Path) -> None:
    inside = os.path.join(os.path.realpath(root), "")
    if outside := sorted(path for path in links if not os.path.realpath(path).startswith(inside)):
        raise ValueError(
            f"{len(outside)} audio files under '{root}' are links that lead out of it: expected the audio itself, "
            f"found '{outside[0]}' -> '{os.path.realpath(outside[0])}'. Copy the files (cp -rL), or pass as data_root "
            "the folder that holds both links and files, or list them for the corpus 'table' with --allow_outside."
        )


def match_names(root: str | os.PathLike, grammar: str, *, corpus: str, example: str) -> Iterator[tuple[str, re.Match]]:
    """Yield each audio file whose path ends as the corpus' grammar says, with the match, sorted by path.

    Files of other names are counted in a warning.

    Args:
        root: The corpus' folder.
        grammar: Regular expression (verbose) that has to match the end of the path below `root`, written with
            `/` and without extension, from the beginning of a folder's or the file's name.
        corpus: The corpus' usual name, for messages.
        example: Such a path with extension, for messages.

    Raises:
        FileNotFoundError: If `root` is no folder or no name fits; it says what was expected and the nearest name.
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
            f"Passed over {len(others)} of {len(paths)} audio files under '{root}': expected names like {example} "
            f"(first: {others[0]})."
        )


def first_copies(
    files: Iterable[tuple[str, re.Match]],
    *,
    corpus: str,
    name: Callable[[re.Match], Hashable] = lambda match: os.path.basename(match.string),
) -> dict[Hashable, tuple[str, re.Match]]:
    """Return name -> path and match, the first of each name; further ones are counted in a warning.

    Args:
        files: What `match_names` yields.
        corpus: The corpus' usual name, for messages.
        name: What a match names; the file's name without extension, if nothing else is said.
    """
    kept, copies = {}, []
    for path, match in files:
        if kept.setdefault(name(match), (path, match))[0] != path:
            copies.append(path)
    if copies:
        logger.warning(
            f"Left out {len(copies)} {corpus} files as second copies by their names; their audio was not compared "
            f"(first: {copies[0]})."
        )
    return kept


def pair_names(
    labelled: Collection[str], audible: Collection[str], root: str | os.PathLike, *, corpus: str, example: str
) -> list[str]:
    """Return the utterances, sorted, that have a label in the corpus' tables and an audio file.

    Those that lack either are counted in a warning each.

    Args:
        labelled: Names of the labelled utterances.
        audible: Names of the audio files, without extension.
        root: The corpus' folder, for messages.
        corpus: The corpus' usual name, for messages.
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
    """Yield the rows of a corpus' own table, in UTF-8 with or without a byte order mark; other bytes become U+FFFD.

    Args:
        path: The table.
        *columns: Those that it has to have.
        **dialect: Arguments of `csv.DictReader`.

    Raises:
        ValueError: If a column is missing.
    """
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        rows = csv.DictReader(lines, restval="", **dialect)
        header = rows.fieldnames or []
        if missing := [name for name in columns if name not in header]:
            raise ValueError(
                f"Table '{path}' lacks {missing}: expected the columns {list(columns)}, found {header}. Is it the "
                "corpus' own, unchanged?"
            )
        yield from rows


def no_utterances(root: str | os.PathLike, names: list[str], *, corpus: str, example: str) -> str:
    """Return what to say where a folder holds no file of a corpus: what was expected, and the nearest name seen."""
    near = difflib.get_close_matches(example, names, n=1, cutoff=0.0)
    seen = f"of {len(names)} audio files the nearest is '{near[0]}'" if near else "found no audio file"
    return (
        f"No {corpus} utterances under '{root}': expected files like {example}, {seen}. Is data_root the folder of the "
        "unpacked corpus?"
    )
