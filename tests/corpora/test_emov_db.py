import os
from collections import Counter

import pytest

from ser_hf.corpora.emov_db import emov_db

EMOTIONS = {"amused": "amused", "angry": "angry", "disgusted": "disgust", "neutral": "neutral", "sleepy": "sleepy"}
GENDERS = {"bea": "female", "jenie": "female", "josh": "male", "sam": "male"}


@pytest.fixture
def corpus(tmp_path, write_audio):
    """Four speakers with two sentences in every emotion, an archive's files in a folder of its name."""
    for speaker in GENDERS:
        for emotion in EMOTIONS:
            for name in ("1-28_0001", "477_504_0492"):
                write_audio(tmp_path / f"{speaker}_{emotion.title()}" / f"{emotion}_{name}.wav", seconds=0.01)
    return tmp_path


def test_speakers_genders_and_emotions_are_read(corpus):
    utterances = list(emov_db(corpus))
    codes = [os.path.basename(utterance.path).split("_")[0] for utterance in utterances]
    emotions = Counter((code, utterance.emotion) for code, utterance in zip(codes, utterances, strict=True))
    assert emotions == dict.fromkeys(EMOTIONS.items(), 8)
    speakers = Counter((utterance.speaker, utterance.gender) for utterance in utterances)
    assert speakers == dict.fromkeys(GENDERS.items(), 10)
    assert {(utterance.language, utterance.text) for utterance in utterances} == {("en", None)}


def test_the_folder_tells_the_emotion(tmp_path, write_audio):
    write_audio(tmp_path / "sam_Disgusted" / "Disgust_1-28_0027.flac")
    assert [utterance.emotion for utterance in emov_db(tmp_path)] == ["disgust"]


def test_the_sorted_archive_is_read_too(tmp_path, write_audio):
    write_audio(tmp_path / "EmoV-DB_sorted" / "bea" / "Amused" / "amused_1-15_0001.wav")
    (utterance,) = emov_db(tmp_path)
    assert (utterance.speaker, utterance.emotion) == ("bea", "amused")


def test_the_text_comes_from_the_first_half_of_cmu_arctic(corpus):
    lines = ('( arctic_a0001 "Author of the danger trail, etc." )', '( arctic_b0492 "Another one." )')
    (corpus / "cmuarctic.data").write_text("\n".join(lines))
    texts = {utterance.path[-8:]: utterance.text for utterance in emov_db(corpus)}
    assert texts == {"0001.wav": "Author of the danger trail, etc.", "0492.wav": None}


def test_an_unknown_emotion_stays(tmp_path, write_audio):
    write_audio(tmp_path / "bea_Proud" / "pride_1-28_0001.wav")
    assert [utterance.emotion for utterance in emov_db(tmp_path)] == ["proud"]


def test_files_outside_their_archives_folder_are_refused(tmp_path, write_audio):
    write_audio(tmp_path / "amused_1-15_0001.wav")
    with pytest.raises(FileNotFoundError, match=r"No EmoV-DB.*bea_Amused/amused_1-15_0001\.wav"):
        list(emov_db(tmp_path))
