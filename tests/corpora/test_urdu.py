import os
from collections import Counter

import pytest

from ser_hf.corpora.urdu import urdu

EMOTIONS = {"A": "angry", "H": "happy", "N": "neutral", "S": "sad"}


@pytest.fixture
def corpus(tmp_path, write_audio):
    """Two women and two men with one file in every emotion."""
    for letter, emotion in EMOTIONS.items():
        for number, speaker in enumerate(("SF1", "SF11", "SM1", "SM27"), start=97):
            write_audio(tmp_path / emotion.title() / f"{speaker}_F1_{letter}0{number}.wav", seconds=0.01)
    return tmp_path


def test_speakers_genders_and_emotions_are_read(corpus):
    utterances = list(urdu(corpus))
    codes = [os.path.basename(utterance.path).split("_")[2][0] for utterance in utterances]
    emotions = Counter((code, utterance.emotion) for code, utterance in zip(codes, utterances, strict=True))
    assert emotions == dict.fromkeys(EMOTIONS.items(), 4)
    assert Counter((utterance.speaker, utterance.gender) for utterance in utterances) == {
        ("SF1", "female"): 4,
        ("SF11", "female"): 4,
        ("SM1", "male"): 4,
        ("SM27", "male"): 4,
    }
    assert {utterance.language for utterance in utterances} == {"ur"}


def test_the_letter_wins_over_the_folder(tmp_path, write_audio):
    write_audio(tmp_path / "Happy" / "SM1_F1_A01.wav")
    assert [utterance.emotion for utterance in urdu(tmp_path)] == ["angry"]


def test_an_unknown_emotion_stays(tmp_path, write_audio):
    write_audio(tmp_path / "SM1_F1_X01.mp3")
    assert [utterance.emotion for utterance in urdu(tmp_path)] == ["x"]


def test_a_wrong_root_says_what_was_expected(tmp_path, write_audio):
    write_audio(tmp_path / "interview.wav")
    with pytest.raises(FileNotFoundError, match=r"No URDU utterances.*Angry/SM4_F38_A090\.wav.*interview\.wav"):
        list(urdu(tmp_path))


@pytest.mark.slow
def test_the_real_corpus_is_whole(shared):
    utterances = list(urdu(shared / "data" / "urdu"))
    assert Counter(utterance.emotion for utterance in utterances) == dict.fromkeys(EMOTIONS.values(), 100)
    assert Counter(utterance.gender for utterance in utterances) == {"female": 56, "male": 344}
    speakers = {(utterance.speaker, utterance.gender) for utterance in utterances}
    assert Counter(gender for _, gender in speakers) == {"female": 11, "male": 18}
