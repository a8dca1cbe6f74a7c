import re
from collections import Counter

import pytest

from ser_hf.corpora.savee import savee

EMOTIONS = {
    "a": "angry",
    "d": "disgust",
    "f": "fearful",
    "h": "happy",
    "n": "neutral",
    "sa": "sad",
    "su": "surprised",
}


@pytest.mark.parametrize("name", ["AudioData/{}/{}{:02}.wav", "{}_{}{:02}.wav", "SAVEE/ALL/{}_{}{:02}.wav"])
def test_every_layout_is_read_alike(tmp_path, name):
    for speaker in ("DC", "JE", "JK", "KL"):
        for emotion in EMOTIONS:
            for sentence in range(1, 31 if emotion == "n" else 16):
                path = tmp_path / name.format(speaker, emotion, sentence)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    utterances = list(savee(tmp_path))
    assert len(utterances) == 480
    codes = [re.search(r"([a-z]+)\d\d\.wav$", utterance.path)[1] for utterance in utterances]
    emotions = Counter((code, utterance.emotion) for code, utterance in zip(codes, utterances, strict=True))
    assert emotions == dict.fromkeys(EMOTIONS.items(), 60) | {("n", "neutral"): 120}
    assert Counter(utterance.speaker for utterance in utterances) == dict.fromkeys(("DC", "JE", "JK", "KL"), 120)
    assert {(utterance.gender, utterance.language) for utterance in utterances} == {("male", "en-GB")}


def test_sadness_and_surprise_are_told_apart(tmp_path, write_audio):
    write_audio(tmp_path / "DC" / "sa03.wav")
    write_audio(tmp_path / "KL_su15.flac")
    assert [(u.speaker, u.emotion) for u in savee(tmp_path)] == [("DC", "sad"), ("KL", "surprised")]


def test_an_unknown_emotion_code_stays(tmp_path, write_audio):
    write_audio(tmp_path / "DC" / "b01.wav")
    assert [utterance.emotion for utterance in savee(tmp_path)] == ["b"]


def test_a_wrong_root_says_what_was_expected(tmp_path, write_audio):
    write_audio(tmp_path / "a01.wav")
    with pytest.raises(FileNotFoundError, match="No SAVEE utterances .* AudioData/DC/sa03.wav.*nearest is 'a01.wav'"):
        list(savee(tmp_path))
