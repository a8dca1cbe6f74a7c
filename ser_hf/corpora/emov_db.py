"""EmoV-DB, the Emotional Voices Database.

Four speakers (two female, two male), English, acted: about 6900 utterances of CMU Arctic sentences in four emotions
and neutral (josh has neither angry nor disgusted). For non-commercial purposes only; from https://openslr.org/115.
Unpack each archive into a folder of its own name (`bea_Amused.tar.gz` into `bea_Amused`), because the names inside
do not give the speaker. The older "sorted" archive with folders such as `bea/Amused` is also read. Files with any
audio extension are read, at any depth under the root.

The folder name gives speaker and emotion; the file name gives the emotion again, the range of the annotation and the
sentence: `bea_Amused/amused_1-15_0001.wav` is the sentence arctic_a0001 by bea, amused. The text is read from
`cmuarctic.data` (http://www.festvox.org/cmu_arctic/cmuarctic.data) if that file is in the root. Left out: the
unsorted recordings.

Source: Adigwe et al. 2018, https://arxiv.org/abs/1806.09514, and https://github.com/numediart/EmoV-DB
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.name_grammar import match_names, stem_of
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {"amused": "amused", "angry": "angry", "disgusted": "disgust", "neutral": "neutral", "sleepy": "sleepy"}
GENDERS = {"bea": "female", "jenie": "female", "josh": "male", "sam": "male"}
FILE_NAME = r"(bea|jenie|josh|sam)[_/]([A-Za-z]+)/[A-Za-z]+_\d+[-_]\d+_(\d{4})"


def emov_db(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of EmoV-DB, sorted by path.

    Args:
        root: Corpus folder; audio files may be at any depth.

    Yields:
        One utterance per file, with speaker, gender, language and text.

    Raises:
        FileNotFoundError: If `root` is not a folder or no file name matches.
    """
    texts = _texts(Path(root).expanduser() / "cmuarctic.data")
    example = "bea_Amused/amused_1-15_0001.wav"
    files = match_names(root, FILE_NAME, corpus="EmoV-DB", example=example, name=lambda m: f"{m[1]} {stem_of(m)}")
    for path, match in files.values():
        speaker, emotion, sentence = match.groups()
        yield Utterance(
            path=path,
            corpus="emov_db",
            emotion=EMOTIONS.get(emotion.lower(), canonical_emotion(emotion)),
            speaker=speaker,
            gender=GENDERS[speaker],
            language="en",
            text=texts.get(sentence),
        )


def _texts(transcript: Path) -> dict[str, str]:
    # A line is `( arctic_a0001 "Author of the danger trail, Philip Steels, etc." )`; EmoV-DB uses the "a" sentences.
    if not transcript.is_file():
        return {}
    return dict(re.findall(r'arctic_a(\d{4}) "(.*)"', transcript.read_text(encoding="utf-8")))
