"""Emo-DB, the Berlin Database of Emotional Speech.

Ten professional actors (5 female, 5 male, aged 21 to 35), German, acted: 535 utterances of ten everyday
sentences in seven emotions, selected as those that most listeners recognised and found natural. No licence is
stated; the paper makes the corpus public. From http://emodb.bilderbar.info (`download.zip`, the folder `wav`).

File names give speaker, sentence, emotion (the initial of its German name) and version: `03a01Fa.wav` is speaker
03 (male, 31), "Der Lappen liegt auf dem Eisschrank.", happy (Freude), version a. Versions count the takes; takes
rejected in the listening test are missing. Left out: the results of the listening test (`erkennung.txt`) and the
phone and syllable labels.

Source: Burkhardt et al. 2005, doi:10.21437/Interspeech.2005-446, and http://emodb.bilderbar.info/docu/
"""

import os
from collections.abc import Iterator

from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.name_grammar import match_names
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {  # Wut, Langeweile, Ekel, Angst, Freude, Trauer
    "W": "angry",
    "L": "bored",
    "E": "disgust",
    "A": "fearful",
    "F": "happy",
    "T": "sad",
    "N": "neutral",
}
SPEAKERS = {
    "03": ("male", 31),
    "08": ("female", 34),
    "09": ("female", 21),
    "10": ("male", 32),
    "11": ("male", 26),
    "12": ("male", 30),
    "13": ("female", 32),
    "14": ("female", 35),
    "15": ("male", 25),
    "16": ("female", 31),
}
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute Abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
FILE_NAME = r"(\d\d)([ab]\d\d)([A-Z])([a-z])"


def emodb(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of Emo-DB, sorted by path.

    Args:
        root: Corpus folder; audio files may be at any depth.

    Yields:
        One utterance per file, with speaker, gender, age, language, text and repetition.

    Raises:
        FileNotFoundError: If `root` is not a folder or no file name matches.
    """
    for path, match in match_names(root, FILE_NAME, corpus="Emo-DB", example="wav/03a01Fa.wav").values():
        speaker, sentence, emotion, version = match.groups()
        gender, age = SPEAKERS.get(speaker, (None, None))
        yield Utterance(
            path=path,
            corpus="emodb",
            emotion=EMOTIONS.get(emotion, canonical_emotion(emotion)),
            speaker=speaker,
            gender=gender,
            age=age,
            language="de",
            text=SENTENCES.get(sentence),
            repetition=ord(version) - ord("a") + 1,
        )
