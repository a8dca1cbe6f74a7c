"""AESDD, the Acted Emotional Speech Dynamic Database.

Six speakers by the file names (the first version had five professional actors; the corpus grows), Greek, acted: 604
utterances, some 20 by each speaker in each of five emotions, second takes among them; no neutral. From
http://m3c.web.auth.gr/research/aesdd-speech-emotion-recognition/ (licence: ask there). Any audio extension is read, at
any depth under the root.

File names are emotion, utterance and speaker: `a03 (4).wav` is the third utterance of speaker 4, angry. A letter
behind it tells the takes of one utterance apart: `f18 (5).wav` and `f18 (5)b.wav`. Speaker 1 is written `(01)` in
some names. Left out: gender and text, which no name tells.

Source: the corpus' readme and page, after Vryzas et al. 2018, doi:10.17743/jaes.2018.0036
"""

import os
from collections.abc import Iterator

from ser_hf.corpora.files import match_names
from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {"a": "angry", "d": "disgust", "f": "fearful", "h": "happy", "s": "sad"}
FILE_NAME = r"([a-z])\d\d\ \((\d+)\)([a-z]?)"


def aesdd(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of AESDD under `root`, sorted by path.

    Raises:
        FileNotFoundError: If there is none.
    """
    for path, match in match_names(root, FILE_NAME, corpus="AESDD", example="anger/a03 (4).wav"):
        emotion, speaker, take = match.groups()
        yield Utterance(
            path=path,
            corpus="aesdd",
            emotion=EMOTIONS.get(emotion, canonical_emotion(emotion)),
            speaker=str(int(speaker)),
            language="el",
            repetition=ord(take or "a") - ord("a") + 1,
        )
