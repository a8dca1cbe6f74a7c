"""EMOVO, an Italian emotional speech corpus.

Six actors (3 female, 3 male, aged 23 to 30), Italian, acted: 588 utterances, 14 sentences in seven emotions by
each actor. Free for research, no licence is stated; from http://voice.fub.it/activities/corpora/emovo/index.html
(`EMOVO.zip`).

File names are emotion-speaker-sentence: `gio-f2-b1.wav` is happy (gioia), speaker f2 (female, 23), "Gli operai si
alzano presto." Sentences are short (b), long (l), nonsense (n) or questions (d). Nothing is left out.

Source: Costantini et al. 2014, EMOVO Corpus: an Italian Emotional Speech Database, LREC,
https://aclanthology.org/L14-1478; ages and sentences from EmoBox, https://github.com/emo-box/EmoBox
"""

import os
from collections.abc import Iterator

from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.name_grammar import match_names
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {  # disgusto, gioia, neutrale, paura, rabbia, sorpresa, tristezza
    "dis": "disgust",
    "gio": "happy",
    "neu": "neutral",
    "pau": "fearful",
    "rab": "angry",
    "sor": "surprised",
    "tri": "sad",
}
AGES = {"f1": 28, "f2": 23, "f3": 25, "m1": 30, "m2": 27, "m3": 30}
SENTENCES = {
    "b1": "Gli operai si alzano presto.",
    "b2": "I vigili sono muniti di pistola.",
    "b3": "La cascata fa molto rumore.",
    "l1": "L'autunno prossimo Tony partirà per la Spagna: nella prima metà di ottobre.",
    "l2": "Ora prendo la felpa di là ed esco per fare una passeggiata.",
    "l3": "Un attimo dopo s'è incamminato... ed è inciampato.",
    "l4": "Vorrei il numero telefonico del Signor Piatti.",
    "n1": "La casa forte vuole col pane.",
    "n2": "La forza trova il passo e l'aglio rosso.",
    "n3": "Il gatto sta scorrendo nella pera.",
    "n4": "Insalata pastasciutta coscia d'agnello limoncello.",
    "n5": "Uno quarantatré dieci mille cinquantasette venti.",
    "d1": "Sabato sera cosa farà?",
    "d2": "Porti con te quella cosa?",
}
FILE_NAME = r"([a-z]+)-([fm]\d)-([a-z]\d)"


def emovo(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of EMOVO, sorted by path.

    Args:
        root: Corpus folder; audio files may be at any depth.

    Yields:
        One utterance per file, with speaker, gender, age, language and text.

    Raises:
        FileNotFoundError: If `root` is not a folder or no file name matches.
    """
    for path, match in match_names(root, FILE_NAME, corpus="EMOVO", example="f2/gio-f2-b1.wav").values():
        emotion, speaker, sentence = match.groups()
        yield Utterance(
            path=path,
            corpus="emovo",
            emotion=EMOTIONS.get(emotion, canonical_emotion(emotion)),
            speaker=speaker,
            gender="female" if speaker.startswith("f") else "male",
            age=AGES.get(speaker),
            language="it",
            text=SENTENCES.get(sentence),
        )
