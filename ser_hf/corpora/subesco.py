"""SUBESCO, the SUST Bangla Emotional Speech Corpus.

20 professional actors (10 female, 10 male), Bangla, acted: 7000 utterances, ten sentences in six emotions and
neutral, five takes each. Licence CC BY 4.0; from https://zenodo.org/records/4526477. Files with any audio extension
are read, at any depth under the root.

File names give gender, number and name of the speaker, "S", sentence, emotion and take: `F_07_TITHI_S_8_HAPPY_1.wav`
is the first take of sentence 8, happy, by the female speaker 07. Speakers are numbered separately for each gender, so
F07 and M07 are two speakers. One file name has a stray bracket, `F_02_MONIKA_S_2_SURPRISE_3].wav`. Left out: the texts
of the sentences; the file names give only the sentence number.

Source: Sultana et al. 2021, doi:10.1371/journal.pone.0250173
"""

import os
from collections.abc import Iterator

from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.name_grammar import match_names
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {
    "ANGRY": "angry",
    "DISGUST": "disgust",
    "FEAR": "fearful",
    "HAPPY": "happy",
    "NEUTRAL": "neutral",
    "SAD": "sad",
    "SURPRISE": "surprised",
}
FILE_NAME = r"([FM])_(\d\d)_[A-Z]+_S_(?:10|[1-9])_([A-Z]+)_([1-5])\]?"


def subesco(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of SUBESCO, sorted by path.

    Args:
        root: Corpus folder; audio files may be at any depth.

    Yields:
        One utterance per file, with speaker, gender, language and repetition.

    Raises:
        FileNotFoundError: If `root` is not a folder or no file name matches.
    """
    for path, match in match_names(root, FILE_NAME, corpus="SUBESCO", example="F_07_TITHI_S_8_HAPPY_1.wav").values():
        gender, number, emotion, take = match.groups()
        yield Utterance(
            path=path,
            corpus="subesco",
            emotion=EMOTIONS.get(emotion, canonical_emotion(emotion)),
            speaker=gender + number,
            gender="female" if gender == "F" else "male",
            language="bn",
            repetition=int(take),
        )
