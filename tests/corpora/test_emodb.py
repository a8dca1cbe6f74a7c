import os
from collections import Counter

import pytest

from ser_hf.corpora.emodb import emodb

EMOTIONS = {
    "A": "fearful",
    "E": "disgust",
    "F": "happy",
    "L": "bored",
    "N": "neutral",
    "T": "sad",
    "W": "angry",
}
SPEAKERS = {
    "03": ("male", 31), "08": ("female", 34), "09": ("female", 21), "10": ("male", 32), "11": ("male", 26),
    "12": ("male", 30), "13": ("female", 32), "14": ("female", 35), "15": ("male", 25), "16": ("female", 31),
}  # fmt: skip
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


def test_every_field_of_the_file_name_is_read(tmp_path, write_audio):
    write_audio(tmp_path / "wav" / "14b10Tc.wav")
    (utterance,) = emodb(tmp_path)
    assert (utterance.corpus, utterance.emotion, utterance.repetition) == ("emodb", "sad", 3)
    assert (utterance.speaker, utterance.gender, utterance.age, utterance.language) == ("14", "female", 35, "de")
    assert utterance.text == "Die wird auf dem Platz sein, wo wir sie immer hinlegen."


def test_the_whole_grammar_is_read(tmp_path):
    (tmp_path / "wav").mkdir()
    for speaker in SPEAKERS:
        for sentence in SENTENCES:
            for emotion in EMOTIONS:
                (tmp_path / "wav" / f"{speaker}{sentence}{emotion}a.wav").touch()
    utterances = list(emodb(tmp_path))
    names = [os.path.basename(utterance.path) for utterance in utterances]
    emotions = Counter((name[5], utterance.emotion) for name, utterance in zip(names, utterances, strict=True))
    assert emotions == dict.fromkeys(EMOTIONS.items(), 100)
    assert {utterance.speaker: (utterance.gender, utterance.age) for utterance in utterances} == SPEAKERS
    assert {name[2:5]: utterance.text for name, utterance in zip(names, utterances, strict=True)} == SENTENCES


def test_an_unknown_emotion_code_stays(tmp_path, write_audio):
    write_audio(tmp_path / "03a01Xa.wav")
    assert [utterance.emotion for utterance in emodb(tmp_path)] == ["x"]


def test_a_speaker_beyond_the_table_is_kept(tmp_path, write_audio):
    write_audio(tmp_path / "17a01Fa.wav")
    (utterance,) = emodb(tmp_path)
    assert (utterance.speaker, utterance.gender, utterance.age) == ("17", None, None)


def test_a_wrong_root_says_what_was_expected(tmp_path, write_audio):
    write_audio(tmp_path / "angry" / "1.wav")
    with pytest.raises(FileNotFoundError, match="No Emo-DB utterances .* wav/03a01Fa.wav"):
        list(emodb(tmp_path))
