import os
from collections import Counter

import pytest

from ser_hf.corpora.subesco import subesco

EMOTIONS = {
    "ANGRY": "angry",
    "DISGUST": "disgust",
    "FEAR": "fearful",
    "HAPPY": "happy",
    "NEUTRAL": "neutral",
    "SAD": "sad",
    "SURPRISE": "surprised",
}


@pytest.fixture
def corpus(tmp_path, write_audio):
    """Two women and two men with one sentence in every emotion, five takes each."""
    for speaker in ("F_01_OISHI", "F_10_FAHMEE", "M_01_BASHIR", "M_10_EVAN"):
        for emotion in EMOTIONS:
            for take in range(1, 6):
                write_audio(tmp_path / f"{speaker}_S_10_{emotion}_{take}.wav", seconds=0.01)
    return tmp_path


def test_every_field_of_the_file_name_is_read(tmp_path, write_audio):
    write_audio(tmp_path / "F_07_TITHI_S_8_HAPPY_2.flac")
    (utterance,) = subesco(tmp_path)
    assert (utterance.speaker, utterance.gender, utterance.language) == ("F07", "female", "bn")
    assert (utterance.emotion, utterance.repetition) == ("happy", 2)


def test_a_woman_and_a_man_of_one_number_are_two_speakers(corpus):
    utterances = list(subesco(corpus))
    assert Counter(utterance.speaker for utterance in utterances) == dict.fromkeys(("F01", "F10", "M01", "M10"), 35)
    assert Counter(utterance.gender for utterance in utterances) == {"female": 70, "male": 70}
    codes = [os.path.basename(utterance.path).split("_")[5] for utterance in utterances]
    emotions = Counter((code, utterance.emotion) for code, utterance in zip(codes, utterances, strict=True))
    assert emotions == dict.fromkeys(EMOTIONS.items(), 20)
    assert Counter(utterance.repetition for utterance in utterances) == dict.fromkeys(range(1, 6), 28)


def test_the_name_with_a_stray_bracket_is_read(tmp_path, write_audio):
    write_audio(tmp_path / "F_02_MONIKA_S_2_SURPRISE_3].wav")
    assert [utterance.repetition for utterance in subesco(tmp_path)] == [3]


def test_an_unknown_emotion_stays(tmp_path, write_audio):
    write_audio(tmp_path / "M_01_BASHIR_S_1_PRIDE_1.wav")
    assert [utterance.emotion for utterance in subesco(tmp_path)] == ["pride"]


def test_a_wrong_root_says_what_was_expected(tmp_path, write_audio):
    write_audio(tmp_path / "interview.wav")
    with pytest.raises(FileNotFoundError, match=r"No SUBESCO utterances.*F_07_TITHI_S_8_HAPPY_1\.wav.*interview\.wav"):
        list(subesco(tmp_path))
