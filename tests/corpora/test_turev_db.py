import os
from collections import Counter

import pytest

from ser_hf.corpora.turev_db import turev_db

EMOTIONS = {"Angry": "angry", "Calm": "calm", "Happy": "happy", "Sad": "sad"}
CODES = {"Angry": "kz", "Calm": "sk", "Happy": "mt", "Sad": "hl"}


@pytest.fixture
def corpus(tmp_path, write_audio):
    """Two speakers with two words in every emotion, and a filtered copy of one utterance."""
    for folder, code in CODES.items():
        for speaker in ("1157", "1984"):
            for word in ("dugun", "acik"):
                write_audio(tmp_path / "Sound Source" / folder / f"{speaker}_{code}_{word}.wav", seconds=0.01)
    filtered = tmp_path / "Model Output for Test Data" / "testEmotions500HighPass" / "sound" / "Angry"
    write_audio(filtered / "1984_kz_dugun.wav")
    return tmp_path


def test_speakers_emotions_and_words_are_read(corpus):
    utterances = list(turev_db(corpus))
    emotions = Counter((utterance.path.split(os.sep)[-2], utterance.emotion) for utterance in utterances)
    assert emotions == dict.fromkeys(EMOTIONS.items(), 4)
    assert Counter(utterance.speaker for utterance in utterances) == {"1157": 8, "1984": 8}
    assert Counter(utterance.text for utterance in utterances) == {"dugun": 8, "acik": 8}
    assert {(utterance.language, utterance.gender) for utterance in utterances} == {("tr", None)}


def test_filtered_copies_are_left_out(corpus, caplog):
    paths = [utterance.path for utterance in turev_db(corpus)]
    assert not [path for path in paths if "Model Output" in path]
    assert "Skipped 1 of 17 audio files" in caplog.text


def test_the_folder_of_the_recordings_alone_is_read_too(corpus):
    assert len(list(turev_db(corpus / "Sound Source"))) == 16


def test_the_word_that_ends_in_a_digit_is_read(tmp_path, write_audio):
    write_audio(tmp_path / "Sad" / "7895_hl_ogul1.wav")
    assert [utterance.text for utterance in turev_db(tmp_path)] == ["ogul"]


def test_an_unknown_emotion_stays(tmp_path, write_audio):
    write_audio(tmp_path / "Sound Source" / "Pride" / "1984_gr_dugun.flac")
    assert [utterance.emotion for utterance in turev_db(tmp_path)] == ["pride"]


def test_a_wrong_root_says_what_was_expected(tmp_path, write_audio):
    write_audio(tmp_path / "interview.wav")
    with pytest.raises(FileNotFoundError, match=r"No TurEV-DB.*Sound Source/Angry/1984_kz_dugun\.wav.*interview\.wav"):
        list(turev_db(tmp_path))
