"""TurEV-DB, the Turkish Emotion-Voice Database.

Six speakers by the file names, Turkish, acted: 1735 utterances of 82 single words in three emotions and calm. Licence
CC BY-NC-ND 4.0; a clone of https://github.com/Xeonen/TurEV-DB. Any audio extension is
read, at any depth under the root.

Folder and file name tell emotion, speaker, the emotion's abbreviation and word:
`Sound Source/Angry/1984_kz_dugun.wav` is the word "düğün", angry, by speaker 1984. That the number is the speaker is
not documented but follows from the counts: each number has the 82 words once in every emotion (one lacks calm and
happy, one most of happy). The second field repeats the folder in all 1735 names (hl Sad, kz Angry, mt Happy, sk Calm).
The text is the word as the name spells it, without Turkish letters. Left out: gender, which the names do not tell, and
the filtered copies of test utterances under `Model Output for Test Data/*/sound`.

Source: Canpolat et al. 2020, https://aclanthology.org/2020.sltu-1.52, and the repository
"""

import os
from collections.abc import Iterator

from ser_hf.corpora.files import match_names
from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {"Angry": "angry", "Calm": "calm", "Happy": "happy", "Sad": "sad"}
FILE_NAME = r"(?<!/sound/)([^/]+)/(\d{4})_[a-z]{2}_([a-z]+)\d*"  # one word ends in a digit: ogul1


def turev_db(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of TurEV-DB under `root`, sorted by path.

    Raises:
        FileNotFoundError: If there is none.
    """
    example = "Sound Source/Angry/1984_kz_dugun.wav"
    for path, match in match_names(root, FILE_NAME, corpus="TurEV-DB", example=example):
        emotion, speaker, word = match.groups()
        yield Utterance(
            path=path,
            corpus="turev_db",
            emotion=EMOTIONS.get(emotion, canonical_emotion(emotion)),
            speaker=speaker,
            language="tr",
            text=word,
        )
