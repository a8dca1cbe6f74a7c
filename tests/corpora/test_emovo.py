import os
from collections import Counter

import pytest

from ser_hf.corpora.emovo import emovo

EMOTIONS = {
    "dis": "disgust",
    "gio": "happy",
    "neu": "neutral",
    "pau": "fearful",
    "rab": "angry",
    "sor": "surprised",
    "tri": "sad",
}
SPEAKERS = {
    "f1": ("female", 28),
    "f2": ("female", 23),
    "f3": ("female", 25),
    "m1": ("male", 30),
    "m2": ("male", 27),
    "m3": ("male", 30),
}
SENTENCES = {
    "b1": "Gli operai si alzano presto.",
    "b2": "I vigili sono muniti di pistola.",
    "b3": "La cascata fa molto rumore.",
    "d1": "Sabato sera cosa farà?",
    "d2": "Porti con te quella cosa?",
    "l1": "L'autunno prossimo Tony partirà per la Spagna: nella prima metà di ottobre.",
    "l2": "Ora prendo la felpa di là ed esco per fare una passeggiata.",
    "l3": "Un attimo dopo s'è incamminato... ed è inciampato.",
    "l4": "Vorrei il numero telefonico del Signor Piatti.",
    "n1": "La casa forte vuole col pane.",
    "n2": "La forza trova il passo e l'aglio rosso.",
    "n3": "Il gatto sta scorrendo nella pera.",
    "n4": "Insalata pastasciutta coscia d'agnello limoncello.",
    "n5": "Uno quarantatré dieci mille cinquantasette venti.",
}


def test_every_field_of_the_file_name_is_read(tmp_path, write_audio):
    write_audio(tmp_path / "EMOVO" / "m2" / "rab-m2-d1.wav")
    (utterance,) = emovo(tmp_path)
    assert (utterance.corpus, utterance.emotion, utterance.text) == ("emovo", "angry", "Sabato sera cosa farà?")
    assert (utterance.speaker, utterance.gender, utterance.age, utterance.language) == ("m2", "male", 27, "it")


def test_the_whole_grammar_is_read(tmp_path):
    for speaker in SPEAKERS:
        (tmp_path / speaker).mkdir()
        for emotion in EMOTIONS:
            for sentence in SENTENCES:
                (tmp_path / speaker / f"{emotion}-{speaker}-{sentence}.wav").touch()
    utterances = list(emovo(tmp_path))
    names = [os.path.basename(utterance.path) for utterance in utterances]
    emotions = Counter((name[:3], utterance.emotion) for name, utterance in zip(names, utterances, strict=True))
    assert emotions == dict.fromkeys(EMOTIONS.items(), 84)
    assert {utterance.speaker: (utterance.gender, utterance.age) for utterance in utterances} == SPEAKERS
    assert {name[7:9]: utterance.text for name, utterance in zip(names, utterances, strict=True)} == SENTENCES


def test_an_unknown_emotion_code_stays(tmp_path, write_audio):
    write_audio(tmp_path / "noi-f1-b1.wav")
    assert [utterance.emotion for utterance in emovo(tmp_path)] == ["noi"]


def test_a_wrong_root_says_what_was_expected(tmp_path, write_audio):
    write_audio(tmp_path / "f2" / "1.wav")
    with pytest.raises(FileNotFoundError, match="No EMOVO utterances .* f2/gio-f2-b1.wav"):
        list(emovo(tmp_path))
