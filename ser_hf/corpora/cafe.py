"""CaFE, the Canadian French Emotional speech dataset.

Twelve actors (six female, six male, aged 15 to 64), Canadian French, acted: 936 utterances, six sentences in six
emotions at two intensities and in neutral. Licence CC BY-NC-SA 4.0; from https://zenodo.org/records/1478765
(`CaFE_48k.zip`, or the 192 kHz version). Files with any audio extension are read, at any depth under the root.

File names give actor, emotion, intensity and sentence: `02-P-1-4.wav` is actor 02 (even numbers are female), fearful
(Peur), faible, "Quatre vieilles truies éléphantesques". Neutral files have 1 as intensity; the utterance has none.
Left out: further files of the same name, for example where both sampling rates are under one root.

Source: Gournay et al. 2018, doi:10.1145/3204949.3208121; the actors' ages from EmoBox,
https://arxiv.org/abs/2406.07162
"""

import os
from collections.abc import Iterator

from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.name_grammar import match_names
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {
    "C": "angry",  # colère
    "D": "disgust",  # dégoût
    "J": "happy",  # joie
    "N": "neutral",  # neutre
    "P": "fearful",  # peur
    "S": "surprised",  # surprise
    "T": "sad",  # tristesse
}
INTENSITIES = {"1": "faible", "2": "fort"}
AGES = {
    "01": 46, "02": 64, "03": 18, "04": 50, "05": 22, "06": 34,
    "07": 15, "08": 25, "09": 42, "10": 20, "11": 35, "12": 37,
}  # fmt: skip
SENTENCES = {
    "1": "Un cheval fou dans mon jardin",
    "2": "Deux ânes aigris au pelage brun",
    "3": "Trois cygnes aveugles au bord du lac",
    "4": "Quatre vieilles truies éléphantesques",
    "5": "Cinq pumas fiers et passionnés",
    "6": "Six ours aimants domestiqués",
}
FILE_NAME = r"(0[1-9]|1[0-2])-([A-Z])-([12])-([1-6])"


def cafe(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of CaFE, sorted by path.

    Args:
        root: Corpus folder; audio files may be at any depth.

    Yields:
        One utterance per file name, with speaker, gender, age, language, text and intensity.

    Raises:
        FileNotFoundError: If `root` is not a folder or no file name matches.
    """
    files = match_names(root, FILE_NAME, corpus="CaFE", example="Peur/Faible/02-P-1-4.wav")
    for path, match in files.values():
        actor, emotion, intensity, sentence = match.groups()
        yield Utterance(
            path=path,
            corpus="cafe",
            emotion=EMOTIONS.get(emotion, canonical_emotion(emotion)),
            speaker=actor,
            gender="female" if int(actor) % 2 == 0 else "male",
            age=AGES[actor],
            language="fr-CA",
            text=SENTENCES[sentence],
            intensity=None if emotion == "N" else INTENSITIES[intensity],
        )
