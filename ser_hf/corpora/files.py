"""Where the audio files of a corpus lie, and which of them bear its names."""

import difflib
import logging
import os
import re
import uuid
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

# libsndfile reads the first row; the second is listed as unreadable, with the way out, rather than overlooked.
AUDIO_EXTENSIONS = {
    ".wav", ".flac", ".mp3", ".ogg", ".opus", ".aiff", ".aif", ".aifc", ".au", ".caf", ".w64",
    ".m4a", ".mp4", ".aac", ".wma", ".webm", ".amr",
}  # fmt: skip

logger = logging.getLogger(__name__)


def audio_files(root: str | os.PathLike) -> list[str]:
    """List the audio files at any depth under `root`, sorted; hidden files and folders are left out.

    Raises:
        FileNotFoundError: If `root` is not a folder.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"data_root '{root}' is not a folder: expected the folder of the corpus.")
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            os.path.join(folder, name)
            for name in names
            if os.path.splitext(name)[1].lower() in AUDIO_EXTENSIONS and not name.startswith(".")
        ]
    return sorted(found)


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


def no_utterances(root: str | os.PathLike, names: list[str], *, corpus: str, example: str) -> str:
    """Return what to say where a folder holds no file of a corpus: what was expected, and the nearest name seen."""
    near = difflib.get_close_matches(example, names, n=1, cutoff=0.0)
    seen = f"of {len(names)} audio files the nearest is '{near[0]}'" if near else "found no audio file"
    return (
        f"No {corpus} utterances under '{root}': expected files like {example}, {seen}. Is data_root the folder of the "
        "unpacked corpus?"
    )


def cache_folder() -> Path:
    """Return the folder of all that can be made anew: `$SER_HF_CACHE`, or `~/.cache/ser_hf`."""
    return Path(os.environ.get("SER_HF_CACHE", "~/.cache/ser_hf")).expanduser()


def keep_file(path: Path, content: bytes) -> None:
    """Write a file of the cache in one step, so that other processes see the whole of it or none.

    Raises:
        RuntimeError: If it cannot be written.
    """
    partial = path.with_suffix(f".{uuid.uuid4().hex}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise RuntimeError(
            f"Cannot keep audio under '{cache_folder()}': {error}. Set SER_HF_CACHE to a folder with room."
        ) from error
