"""TurEV-DB, the Turkish Emotion-Voice Database.

Six speakers according to the file names, Turkish, acted: 1735 utterances of 82 single words in three emotions and
calm. Licence CC BY-NC-ND 4.0; from a clone of https://github.com/Xeonen/TurEV-DB. Files with any audio extension are
read, at any depth under the root.

Folder and file name give emotion, speaker, abbreviation of the emotion, and word:
`Sound Source/Angry/1984_kz_dugun.wav` is the word "düğün", angry, by speaker 1984. It is not documented that the number
is the speaker. It follows from the counts: each number has the 82 words once in every emotion (except that one has no
calm and happy, and one has only a few of happy). The abbreviation repeats the folder in all 1735 names (hl Sad, kz
Angry, mt Happy, sk Calm). The text is the word as spelled in the file name, without Turkish letters. Left out: gender,
which the names do not give, and the filtered copies of test utterances under `Model Output for Test Data/*/sound`.

Source: Canpolat et al. 2020, https://aclanthology.org/2020.sltu-1.52, and the repository
"""

import os
from collections.abc import Iterator

from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.name_grammar import match_names
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {"Angry": "angry", "Calm": "calm", "Happy": "happy", "Sad": "sad"}
FILE_NAME = r"(?<!/sound/)([^/]+)/(\d{4})_[a-z]{2}_([a-z]+)\d*"  # one word ends in a digit: ogul1


def turev_db(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of TurEV-DB, sorted by path.

    Args:
        root: Corpus folder; audio files may be at any depth.

    Yields:
        One utterance per file, with speaker, language and text.

    Raises:
        FileNotFoundError: If `root` is not a folder or no file name matches.
    """
    example = "Sound Source/Angry/1984_kz_dugun.wav"
    for path, match in match_names(root, FILE_NAME, corpus="TurEV-DB", example=example).values():
        emotion, speaker, word = match.groups()
        yield Utterance(
            path=path,
            corpus="turev_db",
            emotion=EMOTIONS.get(emotion, canonical_emotion(emotion)),
            speaker=speaker,
            language="tr",
            text=word,
        )
