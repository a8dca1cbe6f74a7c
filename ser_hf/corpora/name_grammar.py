"""Find the utterances of a corpus by the grammar of its file names, each once, and pair them with labels."""

import difflib
import logging
import os
import re
from collections.abc import Callable, Collection
from pathlib import Path

from ser_hf.corpora.files import FFMPEG_EXTENSIONS, audio_files, list_files

LOSSY = (".mp3", ".mp2", ".mpga", ".ogg", ".oga", ".opus")  # of two copies, the one with other encoding is taken

Audio = dict[str, tuple[str, re.Match]]  # path and match of each utterance, by its name

logger = logging.getLogger(__name__)


def stem_of(match: re.Match) -> str:
    """Return the file name of a match without extension: the name of the utterance in most corpora."""
    return os.path.basename(match.string)


def match_names(
    root: str | os.PathLike,
    grammar: str,
    *,
    corpus: str,
    example: str,
    name: Callable[[re.Match], str | None] = stem_of,
) -> Audio:
    """Return the audio files whose paths match the grammar of the corpus, one for each utterance, sorted by path.

    If a corpus lies twice under the root, the first copy of each utterance is taken: one that libsndfile reads before
    one that needs FFmpeg, and a lossless one before a lossy one. One warning counts the other copies, except for
    videos of the recordings; another counts the files that do not match.

    Args:
        root: Folder of the corpus.
        grammar: Regular expression (verbose) that matches the end of the path below `root`, written with `/` and
            without extension. It starts at the beginning of a folder name or of the file name.
        corpus: Usual name of the corpus, for messages.
        example: A matching path with extension, for messages.
        name: Function from a match to the name of the utterance; None leaves the file out.

    Returns:
        Path and match by the name of the utterance.

    Raises:
        FileNotFoundError: If `root` is not a folder, or no file matches.
    """
    expression = re.compile(f"(?:.*/)?(?:{grammar})", re.VERBOSE)
    paths = audio_files(root)
    below = len(str(Path(root).expanduser())) + 1
    matched, others = [], []
    for path in paths:
        relative = path[below:].replace(os.sep, "/")
        if match := expression.fullmatch(os.path.splitext(relative)[0]):
            matched.append((path, match))
        else:
            others.append(relative)
    if not matched:
        raise FileNotFoundError(no_utterances(root, others, corpus=corpus, example=example))
    if others:
        logger.warning(
            f"Skipped {len(others)} of {len(paths)} audio files under '{root}': expected names like {example} "
            f"(first: {others[0]})."
        )
    return _first_copies(matched, corpus, name)


def _first_copies(files: list[tuple[str, re.Match]], corpus: str, name: Callable[[re.Match], str | None]) -> Audio:
    kept: Audio = {}
    copies = []
    for path, match in sorted(files, key=lambda file: (_is_second_choice(file[0]), file[0])):
        key = name(match)
        if key is None:
            continue
        first, _ = kept.setdefault(key, (path, match))
        if first != path and _needs_ffmpeg(path) == _needs_ffmpeg(first):
            copies.append(path)
    if copies:
        logger.warning(
            f"Left out {len(copies)} {corpus} files as duplicates by name; their audio was not compared "
            f"(first: {copies[0]})."
        )
    return dict(sorted(kept.items(), key=lambda item: item[1][0]))


def _needs_ffmpeg(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in FFMPEG_EXTENSIONS


def _is_second_choice(path: str) -> tuple[bool, bool]:
    return _needs_ffmpeg(path), path.lower().endswith(LOSSY)


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


def no_utterances(root: str | os.PathLike, names: list[str], *, corpus: str, example: str) -> str:
    """Return the error message for a folder without utterances: the nearest name, and the files that were not read."""
    near = difflib.get_close_matches(example, names, n=1, cutoff=0.0)
    seen = f"of {len(names)} audio files the nearest is '{near[0]}'" if near else "found no audio file"
    unread = list_files(root).describe(root)
    return (
        f"No {corpus} utterances under '{root}': expected files like {example}, {seen}. Is data_root the folder of the "
        f"unpacked corpus?{unread and ' '}{unread}"
    )
