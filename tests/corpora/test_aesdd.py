import os
from collections import Counter

import pytest

from ser_hf.corpora.aesdd import aesdd

EMOTIONS = {"a": "angry", "d": "disgust", "f": "fearful", "h": "happy", "s": "sad"}


@pytest.fixture
def corpus(tmp_path, write_audio):
    """Six speakers with two utterances in every emotion."""
    for emotion in EMOTIONS:
        for utterance in ("01", "20"):
            for speaker in range(1, 7):
                write_audio(tmp_path / f"folder of {emotion}" / f"{emotion}{utterance} ({speaker}).wav", seconds=0.01)
    return tmp_path


def test_speakers_and_emotions_are_read(corpus):
    utterances = list(aesdd(corpus))
    emotions = Counter((os.path.basename(utterance.path)[0], utterance.emotion) for utterance in utterances)
    assert emotions == dict.fromkeys(EMOTIONS.items(), 12)
    assert Counter(utterance.speaker for utterance in utterances) == dict.fromkeys("123456", 10)
    assert {utterance.language for utterance in utterances} == {"el"}
    assert {utterance.repetition for utterance in utterances} == {1}


@pytest.mark.parametrize(
    ("name", "speaker", "repetition"),
    [("f10 (01).wav", "1", 1), ("s01 (5)a.wav", "5", 1), ("s01 (5)b.wav", "5", 2), ("a06 (5)b.mp3", "5", 2)],
)
def test_irregular_names_are_read(tmp_path, write_audio, name, speaker, repetition):
    write_audio(tmp_path / name)
    (utterance,) = aesdd(tmp_path)
    assert (utterance.speaker, utterance.repetition) == (speaker, repetition)


def test_an_unknown_emotion_stays(tmp_path, write_audio):
    write_audio(tmp_path / "n01 (1).wav")
    assert [utterance.emotion for utterance in aesdd(tmp_path)] == ["n"]


def test_a_wrong_root_says_what_was_expected(tmp_path, write_audio):
    write_audio(tmp_path / "interview.wav")
    with pytest.raises(FileNotFoundError, match=r"No AESDD utterances.*anger/a03 \(4\)\.wav.*interview\.wav"):
        list(aesdd(tmp_path))
