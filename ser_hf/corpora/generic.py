"""Any corpus with a sub-folder per emotion."""

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
    r"""Yield the utterances of a folder with a sub-folder per emotion, sorted by path.

    Audio beside the sub-folders and sub-folders that are links are counted in a warning each.

    `Angry/SM1_F10_A010.wav` with the pattern `(SM\d+)_` is an angry utterance of speaker SM1.

    Args:
        root: The folder that holds the class folders; files may lie deeper within these.
        speaker_pattern: Regular expression, searched in the file name; its first group is the speaker (the
            whole match where it has no group). Without one the speakers are unknown.

    Raises:
        FileNotFoundError: If there is no audio file in a sub-folder of `root`.
        ValueError: If the pattern is no regular expression, or does not match every file.
    """
    root = Path(root).expanduser()
    found = [Path(path) for path in audio_files(root)]
    paths = [path for path in found if path.parent != root]
    if not paths:
        raise FileNotFoundError(
            f"No audio in sub-folders of '{root}': expected one per emotion, like angry/one.wav and happy/two.wav, "
            f"found {len(found)} audio files beside them. Links to folders are not followed."
        )
    if others := [path.name for path in found if path.parent == root]:
        logger.warning(
            f"Passed over {len(others)} of {len(found)} audio files under '{root}' that lie in no class folder "
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
            f"(first: '{missed[0]}'): every utterance needs its speaker."
        )
    return [match_speaker(expression, path.name) for path in paths]
