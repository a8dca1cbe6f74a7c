"""SAVEE, Surrey Audio-Visual Expressed Emotion.

Four men (students and researchers, aged 27 to 31), British English, acted: 480 utterances of TIMIT sentences,
15 in each of six emotions and 30 neutral ones by each speaker. Free for research after registration; from
http://kahlan.eps.surrey.ac.uk/savee/ (`AudioData.zip`).

The folder is the speaker, the file name gives emotion and sentence: `DC/sa03.wav` is speaker DC, sad, third sentence.
Some copies have no folders and put the speaker in the file name: `DC_sa03.wav`. Both are read, at any depth. Left
out: the videos, the text (sentence numbers restart in each emotion, so they do not identify it) and the speakers'
ages (only their range is known).

Source: Haq & Jackson 2009, Speaker-dependent audio-visual emotion recognition, AVSP; the owners' Info.txt
"""

import os
from collections.abc import Iterator

from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.name_grammar import match_names
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {
    "a": "angry",
    "d": "disgust",
    "f": "fearful",
    "h": "happy",
    "n": "neutral",
    "sa": "sad",
    "su": "surprised",
}
FILE_NAME = r"(DC|JE|JK|KL)[/_]([a-z]+)(\d\d)"


def savee(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of SAVEE, sorted by path.

    Args:
        root: Corpus folder; audio files may be at any depth.

    Yields:
        One utterance per file, with speaker, gender and language.

    Raises:
        FileNotFoundError: If `root` is not a folder or no file name matches.
    """
    for path, match in match_names(
        root, FILE_NAME, corpus="SAVEE", example="AudioData/DC/sa03.wav", name=lambda match: "".join(match.groups())
    ).values():
        speaker, emotion, _ = match.groups()
        yield Utterance(
            path=path,
            corpus="savee",
            emotion=EMOTIONS.get(emotion, canonical_emotion(emotion)),
            speaker=speaker,
            gender="male",
            language="en-GB",
        )
