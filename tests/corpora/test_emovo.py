from collections import Counter

import pytest

from ser_hf.corpora.emovo import EMOTIONS, SENTENCES, emovo


def test_every_field_of_the_file_name_is_read(tmp_path, write_audio):
    write_audio(tmp_path / "EMOVO" / "m2" / "rab-m2-d1.wav")
    (utterance,) = emovo(tmp_path)
    assert (utterance.corpus, utterance.emotion, utterance.text) == ("emovo", "angry", "Sabato sera cosa farà?")
    assert (utterance.speaker, utterance.gender, utterance.age, utterance.language) == ("m2", "male", 27, "it")


def test_the_whole_grammar_is_read(tmp_path):
    for speaker in ("f1", "f2", "f3", "m1", "m2", "m3"):
        (tmp_path / speaker).mkdir()
        for emotion in EMOTIONS:
            for sentence in SENTENCES:
                (tmp_path / speaker / f"{emotion}-{speaker}-{sentence}.wav").touch()
    utterances = list(emovo(tmp_path))
    emotions = ("disgust", "happy", "neutral", "fearful", "angry", "surprised", "sad")
    assert tuple(EMOTIONS.values()) == emotions
    assert Counter(utterance.emotion for utterance in utterances) == dict.fromkeys(emotions, 84)
    assert Counter(utterance.gender for utterance in utterances) == {"female": 294, "male": 294}
    assert len({utterance.speaker for utterance in utterances}) == 6
    assert len({utterance.text for utterance in utterances}) == 14


def test_an_unknown_emotion_code_stays(tmp_path, write_audio):
    write_audio(tmp_path / "noi-f1-b1.wav")
    assert [utterance.emotion for utterance in emovo(tmp_path)] == ["noi"]


def test_a_wrong_root_says_what_was_expected(tmp_path, write_audio):
    write_audio(tmp_path / "f2" / "1.wav")
    with pytest.raises(FileNotFoundError, match="No EMOVO utterances .* f2/gio-f2-b1.wav"):
        list(emovo(tmp_path))
