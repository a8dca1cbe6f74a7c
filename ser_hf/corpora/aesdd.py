"""AESDD, the Acted Emotional Speech Dynamic Database.

Six speakers according to the file names (five professional actors in the first version; the corpus still grows),
Greek, acted: 604 utterances, about 20 per speaker in each of five emotions, including second takes; no neutral. From
http://m3c.web.auth.gr/research/aesdd-speech-emotion-recognition/ (no licence is stated: ask the owners). Files with
any audio extension are read, at any depth under the root.

File names give emotion, utterance and speaker: `a03 (4).wav` is the third utterance of speaker 4, angry. A letter at
the end distinguishes takes of the same utterance: `f18 (5).wav` and `f18 (5)b.wav`. Some names write speaker 1 as
`(01)`. Not available: gender and text, which the file names do not give.

Source: the readme and the web page of the corpus, following Vryzas et al. 2018, doi:10.17743/jaes.2018.0036
"""

import os
from collections.abc import Iterator

from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.name_grammar import match_names
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {"a": "angry", "d": "disgust", "f": "fearful", "h": "happy", "s": "sad"}
FILE_NAME = r"([a-z])\d\d\ \((\d+)\)([a-z]?)"


def aesdd(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of AESDD, sorted by path.

    Args:
        root: Corpus folder; audio files may be at any depth.

    Yields:
        One utterance per file, with speaker, language and repetition.

    Raises:
        FileNotFoundError: If `root` is not a folder or no file name matches.
    """
    for path, match in match_names(root, FILE_NAME, corpus="AESDD", example="anger/a03 (4).wav").values():
        emotion, speaker, take = match.groups()
        yield Utterance(
            path=path,
            corpus="aesdd",
            emotion=EMOTIONS.get(emotion, canonical_emotion(emotion)),
            speaker=str(int(speaker)),
            language="el",
            repetition=ord(take or "a") - ord("a") + 1,
        )
