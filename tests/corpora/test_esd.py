import os
from collections import Counter

import pytest

from ser_hf.corpora.esd import esd

EMOTIONS = {"Angry": "angry", "Happy": "happy", "Neutral": "neutral", "Sad": "sad", "Surprise": "surprised"}

ENGLISH = "0012_000351\tThe nine, the eggs, I keep.\tAngry\r\n0012_000352 The row has no tab.\tAngry\r\n"
MANDARIN = "0001_000351\t打远一看，它们的确很是美丽，\t生气\n"


def test_every_field_of_the_path_is_read(tmp_path, write_audio):
    write_audio(tmp_path / "Emotion Speech Dataset" / "0011" / "Surprise" / "0011_001401.wav")
    (utterance,) = esd(tmp_path)
    assert (utterance.corpus, utterance.emotion, utterance.split) == ("esd", "surprised", None)
    assert (utterance.speaker, utterance.gender, utterance.language) == ("0011", "male", "en")
    assert utterance.text is None


def test_every_speaker_and_emotion_is_read(tmp_path):
    for speaker in range(1, 21):
        for number, emotion in enumerate(EMOTIONS):
            folder = tmp_path / f"{speaker:04}" / emotion
            folder.mkdir(parents=True)
            (folder / f"{speaker:04}_{350 * number + 1:06}.wav").touch()
    utterances = list(esd(tmp_path))
    emotions = Counter((utterance.path.split(os.sep)[-2], utterance.emotion) for utterance in utterances)
    assert emotions == dict.fromkeys(EMOTIONS.items(), 20)
    speakers = {}
    for utterance in utterances:
        speakers.setdefault((utterance.language, utterance.gender), set()).add(utterance.speaker)
    assert speakers == {
        ("zh", "female"): {"0001", "0002", "0003", "0007", "0009"},
        ("zh", "male"): {"0004", "0005", "0006", "0008", "0010"},
        ("en", "female"): {"0015", "0016", "0017", "0018", "0019"},
        ("en", "male"): {"0011", "0012", "0013", "0014", "0020"},
    }


def test_a_folder_below_the_emotion_is_the_split(tmp_path, write_audio):
    for number, folder in enumerate(("evaluation", "test", "train")):
        write_audio(tmp_path / "0012" / "Angry" / folder / f"0012_00035{number}.wav")
    (tmp_path / "0012" / "0012.txt").write_text("0012_000351\tHe drank.\tAngry\n")
    assert [(utterance.split, utterance.text) for utterance in esd(tmp_path)] == [
        ("validation", None),
        ("test", "He drank."),
        ("train", None),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_english_text_is_read_in_any_encoding(tmp_path, write_audio, encoding):
    for number in ("351", "352"):
        write_audio(tmp_path / "0012" / "Angry" / f"0012_000{number}.wav")
    (tmp_path / "0012" / "0012.txt").write_bytes(ENGLISH.replace("I keep", "I’ll keep").encode(encoding))
    assert [utterance.text for utterance in esd(tmp_path)] == ["The nine, the eggs, I’ll keep.", None]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb2312"])
def test_mandarin_text_is_read_in_any_encoding(tmp_path, write_audio, encoding):
    write_audio(tmp_path / "0001" / "Angry" / "0001_000351.wav")
    (tmp_path / "0001" / "0001.txt").write_bytes(MANDARIN.encode(encoding))
    assert [utterance.text for utterance in esd(tmp_path)] == ["打远一看，它们的确很是美丽，"]


def test_an_unknown_emotion_stays(tmp_path, write_audio):
    write_audio(tmp_path / "0011" / "Disgust" / "0011_000001.wav")
    assert [utterance.emotion for utterance in esd(tmp_path)] == ["disgust"]


def test_a_wrong_root_says_what_was_expected(tmp_path, write_audio):
    write_audio(tmp_path / "Angry" / "0011_000351.wav")
    with pytest.raises(FileNotFoundError, match="No ESD utterances .* 0011/Angry/0011_000351.wav"):
        list(esd(tmp_path))
