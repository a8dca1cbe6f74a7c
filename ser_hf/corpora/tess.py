"""TESS, the Toronto Emotional Speech Set.

Two actresses, aged 26 and 64, English, acted: 2800 utterances, "Say the word ..." with each of 200 words in
seven emotions. Licence CC BY-NC 4.0 at https://doi.org/10.5683/SP2/E8H2MF, CC BY-NC-ND 4.0 at
https://tspace.library.utoronto.ca/handle/1807/24487.

File names are speaker_word_emotion: `OAF_back_ps.wav` is the older actress (OAF; YAF is the younger), "Say the
word back", pleasant surprise. Folder names vary between copies (`OAF_Fear`, `YAF_fear`) and are not used. Some copies
have one misspelled file name: `OA_bite_neutral.wav` is by OAF. Left out: further files of the same name; a widely used
copy contains the whole corpus twice.

Source: Dupuis & Pichora-Fuller 2010, doi:10.5683/SP2/E8H2MF
"""

import os
from collections.abc import Iterator

from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.name_grammar import match_names
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
    """Yield the utterances of TESS, sorted by path.

    Args:
        root: Corpus folder; audio files may be at any depth.

    Yields:
        One utterance per file name, with speaker, gender, age, language and text.

    Raises:
        FileNotFoundError: If `root` is not a folder or no file name matches.
    """
    example = "OAF_Fear/OAF_back_fear.wav"
    files = match_names(root, FILE_NAME, corpus="TESS", example=example, name=lambda match: "_".join(match.groups()))
    for path, match in files.values():
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
