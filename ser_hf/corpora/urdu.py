"""URDU, emotional speech from Urdu talk shows.

29 speakers according to the file names (11 female, 18 male; the owners count 38, 27 of them male), Urdu, natural: 400
utterances taken from YouTube, 100 in each of four emotions. For research only; from
https://github.com/siddiquelatif/URDU-Dataset. Files with any audio extension are read, at any depth under the root.

File names give the speaker, the number of the speaker's file, and the emotion with its number: `SM4_F38_A090.wav` is
the 38th file of the male speaker 4, the 90th angry one. The emotion is read from the letter, not from the folder
(`Angry`, `Happy`, `Neutral`, `Sad`); the two agree in all 400 files. 26 of the 29 speakers have one emotion only, so
without a speaker-independent split a model may learn voices instead of emotions. Left out: text, which the corpus does
not provide.

Source: Latif et al. 2018, https://arxiv.org/abs/1812.10411, and the README of the corpus
"""

import os
from collections.abc import Iterator

from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.name_grammar import match_names
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {"A": "angry", "H": "happy", "N": "neutral", "S": "sad"}
FILE_NAME = r"(S([FM])\d+)_F\d+_([A-Z])\d+"


def urdu(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of URDU, sorted by path.

    Args:
        root: Corpus folder; audio files may be at any depth.

    Yields:
        One utterance per file, with speaker, gender and language.

    Raises:
        FileNotFoundError: If `root` is not a folder or no file name matches.
    """
    for path, match in match_names(root, FILE_NAME, corpus="URDU", example="Angry/SM4_F38_A090.wav").values():
        speaker, gender, emotion = match.groups()
        yield Utterance(
            path=path,
            corpus="urdu",
            emotion=EMOTIONS.get(emotion, canonical_emotion(emotion)),
            speaker=speaker,
            gender="female" if gender == "F" else "male",
            language="ur",
        )
