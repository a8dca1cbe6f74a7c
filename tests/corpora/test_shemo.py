import os
from collections import Counter

import pytest

from ser_hf.corpora.shemo import shemo

EMOTIONS = {"A": "angry", "F": "fearful", "H": "happy", "N": "neutral", "S": "sad", "W": "surprised"}


@pytest.fixture
def corpus(tmp_path, write_audio):
    """Two women and two men, with every emotion twice."""
    for folder, letter in (("female", "F"), ("male", "M")):
        for speaker in ("01", "02"):
            for emotion in EMOTIONS:
                for number in ("01", "02"):
                    write_audio(tmp_path / folder / f"{letter}{speaker}{emotion}{number}.wav", seconds=0.01)
    return tmp_path


def test_speakers_genders_and_emotions_are_read(corpus):
    utterances = list(shemo(corpus))
    assert {(utterance.speaker, utterance.gender) for utterance in utterances} == {
        ("F01", "female"),
        ("F02", "female"),
        ("M01", "male"),
        ("M02", "male"),
    }
    emotions = Counter((os.path.basename(utterance.path)[3], utterance.emotion) for utterance in utterances)
    assert emotions == dict.fromkeys(EMOTIONS.items(), 8)
    assert {utterance.language for utterance in utterances} == {"fa"}


def test_a_letter_means_gender_first_and_emotion_then(tmp_path, write_audio):
    write_audio(tmp_path / "M02F01.flac")
    (utterance,) = shemo(tmp_path)
    assert (utterance.gender, utterance.emotion) == ("male", "fearful")


def test_the_text_comes_from_the_orthographic_transcript(corpus):
    (corpus / "final text").mkdir()
    (corpus / "final text" / "F02S02.ort").write_bytes("\ufeffسلام\r".encode())
    (corpus / "final text" / "F02S02.tra").write_text("salɑm", encoding="utf-8")
    texts = {utterance.speaker: utterance.text for utterance in shemo(corpus) if "S02" in utterance.path}
    assert texts == {"F01": None, "F02": "سلام", "M01": None, "M02": None}


def test_an_unknown_emotion_stays(tmp_path, write_audio):
    write_audio(tmp_path / "F01X01.wav")
    assert [utterance.emotion for utterance in shemo(tmp_path)] == ["x"]


def test_a_wrong_root_says_what_was_expected(tmp_path, write_audio):
    write_audio(tmp_path / "interview.wav")
    with pytest.raises(FileNotFoundError, match=r"No ShEMO utterances.*female/F03S02\.wav.*interview\.wav"):
        list(shemo(tmp_path))
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        list(shemo(tmp_path / "missing"))


def test_a_transcript_in_windows_encoding_is_read_beside_the_others(corpus):
    (corpus / "F01S01.ort").write_bytes("سلام".encode("cp1256"))
    (corpus / "F02S02.ort").write_text("سلام", encoding="utf-8")
    texts = [utterance.text for utterance in shemo(corpus) if utterance.text]
    assert texts == ["سلام", "سلام"]
