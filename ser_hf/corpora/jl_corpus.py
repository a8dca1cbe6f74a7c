"""JL-Corpus, New Zealand English with secondary emotions.

Four professional speakers (2 female, 2 male), New Zealand English, acted: 2400 utterances, 15 sentences in five
primary emotions (angry, excited, happy, neutral, sad) and five secondary ones (anxious, apologetic, assertive,
concerned, encouraging), twice in each of two sessions. Licence CC0; from
https://www.kaggle.com/datasets/tli725/jl-corpus (`JL(wav+txt)`).

File names are speaker_emotion_number_repetition, where number is the sentence with the letter of the session:
`male1_angry_10a_1.wav` is speaker male1, angry, sentence 10, session a, first repetition. The text is in a file
of the same name, `male1_angry_10a_1.txt`; without that file it is None. Left out: further files of the same name; the
owners' upload contains a part of the corpus twice.

Source: James, Tian & Watson 2018, https://www.isca-archive.org/interspeech_2018/james18_interspeech.pdf, and
Format_Intro.txt of the corpus
"""

import os
from collections.abc import Iterator
from pathlib import Path

from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.name_grammar import match_names
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {
    "angry": "angry",
    "anxious": "anxious",
    "apologetic": "apologetic",
    "assertive": "assertive",
    "concerned": "concerned",
    "encouraging": "encouraging",
    "excited": "excited",
    "happy": "happy",
    "neutral": "neutral",
    "sad": "sad",
}
FILE_NAME = r"((female|male)\d)_([a-z]+)_\d+([a-z])_(\d)"


def jl_corpus(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of JL-Corpus, sorted by path.

    Args:
        root: Corpus folder; audio files may be at any depth.

    Yields:
        One utterance per file name, with speaker, gender, language, session, text and repetition.

    Raises:
        FileNotFoundError: If `root` is not a folder or no file name matches.
    """
    files = match_names(root, FILE_NAME, corpus="JL-Corpus", example="male1_angry_10a_1.wav")
    for path, match in files.values():
        speaker, gender, emotion, session, repetition = match.groups()
        yield Utterance(
            path=path,
            corpus="jl_corpus",
            emotion=EMOTIONS.get(emotion, canonical_emotion(emotion)),
            speaker=speaker,
            gender=gender,
            language="en-NZ",
            session=session,
            text=_read_text(Path(path).with_suffix(".txt")),
            repetition=int(repetition),
        )


def _read_text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="replace").strip() if path.is_file() else None
