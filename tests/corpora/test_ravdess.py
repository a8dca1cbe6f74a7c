from collections import Counter

import pytest

from ser_hf.corpora import load_corpus


def test_every_field_of_the_file_name_is_read(tmp_path, write_audio):
    write_audio(tmp_path / "Actor_12" / "03-01-06-02-01-02-12.wav")
    (utterance,) = load_corpus("ravdess", tmp_path)
    assert (utterance.emotion, utterance.intensity, utterance.repetition) == ("fearful", "strong", 2)
    assert (utterance.speaker, utterance.gender, utterance.vocal_channel) == ("12", "female", "speech")
    assert utterance.text == "Kids are talking by the door"


@pytest.mark.parametrize(
    ("code", "emotion"),
    [
        ("01", "neutral"),
        ("02", "calm"),
        ("03", "happy"),
        ("04", "sad"),
        ("05", "angry"),
        ("06", "fearful"),
        ("07", "disgust"),
        ("08", "surprised"),
    ],
)
def test_every_emotion_code_is_read(tmp_path, write_audio, code, emotion):
    write_audio(tmp_path / f"03-01-{code}-01-01-01-01.wav")
    assert [utterance.emotion for utterance in load_corpus("ravdess", tmp_path)] == [emotion]


def test_speech_and_song_are_told_apart(tmp_path, write_audio):
    write_audio(tmp_path / "speech" / "Actor_01" / "03-01-03-01-01-01-01.wav")
    write_audio(tmp_path / "song" / "Actor_01" / "03-02-03-01-01-01-01.flac")
    write_audio(tmp_path / "song" / "Actor_01" / "03-02-03-01-01-02-01.flac")
    assert [utterance.vocal_channel for utterance in load_corpus("ravdess", tmp_path)] == ["speech"]
    assert [utterance.vocal_channel for utterance in load_corpus("ravdess_song", tmp_path)] == ["song", "song"]


def test_other_files_are_left_out(tmp_path, write_audio):
    write_audio(tmp_path / "03-01-03-01-01-01-01.wav")
    write_audio(tmp_path / "._03-01-03-01-01-01-01.wav")
    write_audio(tmp_path / "01-01-03-01-01-01-01.wav")  # a video's sound track
    (tmp_path / "notes.txt").write_text("not audio")
    assert len(list(load_corpus("ravdess", tmp_path))) == 1


def test_an_unknown_emotion_code_stays_as_it_is(tmp_path, write_audio):
    write_audio(tmp_path / "03-01-09-01-01-01-01.wav")
    assert [utterance.emotion for utterance in load_corpus("ravdess", tmp_path)] == ["09"]


def test_files_of_other_names_are_counted(tmp_path, write_audio, caplog):
    write_audio(tmp_path / "03-01-03-01-01-01-01.wav")
    write_audio(tmp_path / "interview.wav")
    list(load_corpus("ravdess", tmp_path))
    assert "Skipped 1 of 2 audio files" in caplog.text
    assert "(first: interview.wav)" in caplog.text


def test_a_second_copy_of_a_file_is_left_out(tmp_path, write_audio):
    for folder in ("Actor_01", "audio_speech_actors_01-24/Actor_01"):
        write_audio(tmp_path / folder / "03-01-03-01-01-01-01.wav")
    assert len(list(load_corpus("ravdess", tmp_path))) == 1


def test_a_wrong_root_says_what_was_expected(tmp_path):
    with pytest.raises(FileNotFoundError, match="Actor_01/03-01"):
        list(load_corpus("ravdess", tmp_path))
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        list(load_corpus("ravdess", tmp_path / "missing"))


@pytest.mark.slow
def test_the_real_corpus_is_whole(shared):
    utterances = list(load_corpus("ravdess", shared / "data" / "ravdess"))
    assert len(utterances) == 1440
    assert Counter(utterance.gender for utterance in utterances) == {"female": 720, "male": 720}
    counts = Counter(utterance.emotion for utterance in utterances)
    assert counts.pop("neutral") == 96
    assert set(counts.values()) == {192}
    assert len(counts) == 7
