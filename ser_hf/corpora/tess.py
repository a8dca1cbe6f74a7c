"""TESS, the Toronto Emotional Speech Set.

Two actresses, aged 26 and 64, English, acted: 2800 utterances, "Say the word ..." with each of 200 words in
seven emotions. Licence CC BY-NC 4.0 at https://doi.org/10.5683/SP2/E8H2MF, CC BY-NC-ND 4.0 at
https://tspace.library.utoronto.ca/handle/1807/24487.

File names are speaker_word_emotion: `OAF_back_ps.wav` is the older actress (OAF; YAF is the younger), "Say the
word back", pleasant surprise. Folders are spelt in several ways (`OAF_Fear`, `YAF_fear`) and say nothing more, so
they may have any name or be missing. One file is misspelt in some copies: `OA_bite_neutral.wav` is by OAF. Left
out: second copies of the same file; a much used copy holds the whole corpus twice.

Source: Dupuis & Pichora-Fuller 2010, doi:10.5683/SP2/E8H2MF
"""

import os
import re
from collections.abc import Iterator

from ser_hf.corpora.files import first_copies, match_names
from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {
    "angry": "angry",
    "disgust": "disgust",
    "fear": "fearful",
    "happy": "happy",
    "neutral": "neutral",
    "ps": "surprised",
    "sad": "sad",
}
AGES = {"OAF": 64, "YAF": 26}
FILE_NAME = r"(OA|YA)F?_([^_/]+)_([^/]+)"


def tess(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of TESS under `root`, sorted by path.

    Raises:
        FileNotFoundError: If there is none.
    """
    files = match_names(root, FILE_NAME, corpus="TESS", example="OAF_Fear/OAF_back_fear.wav")
    for path, match in first_copies(files, corpus="TESS", name=re.Match.groups).values():
        speaker, word, emotion = match[1] + "F", match[2], match[3]
        yield Utterance(
            path=path,
            corpus="tess",
            emotion=EMOTIONS.get(emotion.lower(), canonical_emotion(emotion)),
            speaker=speaker,
            gender="female",
            age=AGES[speaker],
            language="en",
            text=f"Say the word {word}",
        )
