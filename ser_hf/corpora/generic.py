"""Read any corpus with one sub-folder per emotion."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from ser_hf.corpora.cells import compile_speaker, match_speaker
from ser_hf.corpora.files import audio_files
from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.utterance import Utterance

logger = logging.getLogger(__name__)


def folder(root: str | os.PathLike, *, speaker_pattern: str | None = None) -> Iterator[Utterance]:
    r"""Yield the utterances of a folder with one sub-folder per emotion, sorted by path.

    One warning counts the audio files outside the sub-folders, another the sub-folders that are links.

    Args:
        root: Folder that contains the emotion folders; files may be at any depth below these.
        speaker_pattern: Regular expression to search in each file name. Its first group is the speaker, or the whole
            match if it has no group. Without a pattern the speakers are unknown.

    Yields:
        One utterance per file, with the speaker if there is a pattern.

    Raises:
        FileNotFoundError: If `root` is not a folder, or no sub-folder has audio files.
        ValueError: If the pattern is not a regular expression, or does not match every file name.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root:
        ...     Path(root, "Anger").mkdir()
        ...     Path(root, "Anger", "SM1_F10_A010.wav").touch()
        ...     [(each.emotion, each.speaker) for each in folder(root, speaker_pattern=r"(SM\d+)_")]
        [('angry', 'SM1')]
    """
    root = Path(root).expanduser()
    found = [Path(path) for path in audio_files(root)]
    paths = [path for path in found if path.parent != root]
    if not paths:
        raise FileNotFoundError(
            f"No audio in sub-folders of '{root}': expected one per emotion, like angry/one.wav and happy/two.wav, "
            f"found {len(found)} audio files outside of sub-folders. Links to folders are not followed."
        )
    if others := [path.name for path in found if path.parent == root]:
        logger.warning(
            f"Skipped {len(others)} of {len(found)} audio files under '{root}' that are in no emotion folder "
            f"(first: {others[0]})."
        )
    speakers = [None] * len(paths) if speaker_pattern is None else _speakers(paths, speaker_pattern)
    for path, speaker in zip(paths, speakers, strict=True):
        emotion = canonical_emotion(path.relative_to(root).parts[0])
        yield Utterance(path=str(path), corpus="folder", emotion=emotion, speaker=speaker)


def _speakers(paths: list[Path], pattern: str) -> list[str]:
    expression = compile_speaker(pattern)
    if missed := [path.name for path in paths if not expression.search(path.name)]:
        raise ValueError(
            f"speaker_pattern '{pattern}' does not match {len(missed)} of {len(paths)} file names "
            f"(first: '{missed[0]}'): expected a speaker in every file name."
        )
    return [match_speaker(expression, path.name) for path in paths]
