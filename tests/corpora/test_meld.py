import os
import shutil
import subprocess

import pytest

from ser_hf.corpora.meld import meld

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
TIMES = '8,21,"00:16:16,059","00:16:21,731"'
FOLDERS = {
    "train": "train/train_splits",
    "dev": "dev/dev_splits_complete",
    "test": "test/output_repeated_splits_test",
}


def write_tables(root, rows=(), *, parts=("train", "dev", "test")):
    """Write the three tables; each of `rows` is part, utterance, speaker, emotion, dialogue and number."""
    for part in parts:
        lines = [
            f'{i},"{text}",{speaker},{emotion},neutral,{dialogue},{number},{TIMES}\n'
            for i, (of, text, speaker, emotion, dialogue, number) in enumerate(rows)
            if of == part
        ]
        (root / f"{part}_sent_emo.csv").write_text(HEADER + "".join(lines), encoding="utf-8-sig")


@pytest.fixture
def corpus(tmp_path, write_audio):
    rows = [(part, f"In {part}, yes.", "Monica", "joy", 0, 3) for part in FOLDERS]
    write_tables(tmp_path, rows)
    for folder in FOLDERS.values():
        write_audio(tmp_path / folder / "dia0_utt3.wav")
    return tmp_path


def test_the_same_number_in_each_part_is_another_utterance(corpus):
    utterances = list(meld(corpus))
    assert [utterance.split for utterance in utterances] == ["train", "validation", "test"]
    assert [utterance.text for utterance in utterances] == ["In train, yes.", "In dev, yes.", "In test, yes."]
    assert [utterance.session for utterance in utterances] == ["train_dia0", "validation_dia0", "test_dia0"]
    assert [os.path.relpath(utterance.path, corpus) for utterance in utterances] == [
        f"{folder}/dia0_utt3.wav" for folder in FOLDERS.values()
    ]
    assert {(utterance.speaker, utterance.gender, utterance.emotion) for utterance in utterances} == {
        ("Monica", "female", "happy")
    }


def test_converted_files_in_other_folders_and_tables_in_sub_folders_are_found(tmp_path, write_audio):
    (tmp_path / "test" / "data" / "MELD").mkdir(parents=True)  # the root's own name says nothing about the part
    write_tables(tmp_path / "test" / "data" / "MELD", [("dev", "Hi", "Joey", "anger", 1, 12)])
    write_audio(tmp_path / "test" / "audio" / "dev" / "dia1_utt12.flac")
    (utterance,) = meld(tmp_path / "test")
    assert (utterance.split, utterance.emotion, utterance.gender) == ("validation", "angry", "male")


@pytest.mark.parametrize(
    ("name", "emotion"),
    [
        ("anger", "angry"),
        ("disgust", "disgust"),
        ("fear", "fearful"),
        ("joy", "happy"),
        ("neutral", "neutral"),
        ("sadness", "sad"),
        ("surprise", "surprised"),
    ],
)
def test_every_emotion_is_read(tmp_path, write_audio, name, emotion):
    write_tables(tmp_path, [("train", "Hi", "Ross", name, 0, 0)])
    write_audio(tmp_path / "train_splits" / "dia0_utt0.wav")
    assert [utterance.emotion for utterance in meld(tmp_path)] == [emotion]


def test_only_the_six_main_characters_have_a_gender(tmp_path, write_audio):
    names = ["Chandler", "Joey", "Monica", "Phoebe", "Rachel", "Ross", "The Interviewer"]
    write_tables(tmp_path, [("train", "Hi", name, "joy", 0, i) for i, name in enumerate(names)])
    for i in range(len(names)):
        write_audio(tmp_path / "train_splits" / f"dia0_utt{i}.wav")
    genders = [utterance.gender for utterance in meld(tmp_path)]
    assert genders == ["male", "male", "female", "female", "female", "male", None]


def test_misread_quotation_marks_are_mended(tmp_path, write_audio):
    write_tables(tmp_path, [("train", "You must\x92ve \x97 oh, caf\xe9", "Richard\x92s Date", "joy", 0, 0)])
    write_audio(tmp_path / "train_splits" / "dia0_utt0.wav")
    (utterance,) = meld(tmp_path)
    assert utterance.text == "You must\u2019ve \u2014 oh, caf\xe9"
    assert utterance.speaker == "Richard\u2019s Date"


def test_each_character_of_windows_is_mended(tmp_path, write_audio):
    write_tables(tmp_path, [("train", "".join(map(chr, range(0x80, 0xA0))), "Ross", "joy", 0, 0)])
    write_audio(tmp_path / "train_splits" / "dia0_utt0.wav")
    (utterance,) = meld(tmp_path)
    assert utterance.text == "€�‚ƒ„…†‡ˆ‰Š‹Œ�Ž��‘’“”•–—˜™š›œ�žŸ"  # code page 1252; � where it has no character


def test_missing_audio_is_counted_and_unlisted_clips_are_left_out(corpus, write_audio, caplog):
    write_tables(corpus, [("train", "Hi", "Ross", "joy", 0, 3), ("train", "Hi", "Ross", "joy", 125, 3)])
    write_audio(corpus / "test" / "output_repeated_splits_test" / "final_videos_testdia0_utt3.wav")
    write_audio(corpus / "train" / "train_splits" / "._dia125_utt3.wav")
    assert len(list(meld(corpus))) == 1
    assert "Left out 2 MELD utterances without label (first: test_dia0_utt3)" in caplog.text
    assert "Skipped 1 of 4 audio files" in caplog.text
    assert "Left out 1 MELD utterances without audio (first: train_dia125_utt3)" in caplog.text


def test_videos_alone_are_refused_with_the_line_that_extracts_their_sound(tmp_path, write_audio):
    root = tmp_path / "MELD's Raw"
    (root / "train splits").mkdir(parents=True)
    (root / "train splits" / "dia0_utt0.MP4").touch()
    with pytest.raises(ValueError, match=r"videos only for \['train'\].*ffmpeg .*-ac 1 -ar 16000") as error:
        list(meld(root))
    line = str(error.value).split("beside the videos with: ")[1]
    # a stand-in for ffmpeg writes down what it is asked for
    (tmp_path / "ffmpeg").write_text('#!/bin/sh\n(printf "%s|" "$@"; echo) >> "$ASKED"\n')
    (tmp_path / "ffmpeg").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["sh", "-c", line], check=True, env={"PATH": path, "ASKED": str(tmp_path / "asked")})
    asked = (tmp_path / "asked").read_text()
    assert asked.endswith("-i|./train splits/dia0_utt0.MP4|-vn|-ac|1|-ar|16000|./train splits/dia0_utt0.wav|\n")


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_the_line_makes_audio_of_videos(tmp_path, write_audio):
    write_tables(tmp_path, [("train", "Hi", "Ross", "joy", 0, 0)])
    video = tmp_path / "train_splits" / "dia0_utt0.mp4"
    write_audio(tmp_path / "tone.flac", rate=48_000, channels=2)
    video.parent.mkdir()
    subprocess.run(["ffmpeg", "-loglevel", "error", "-i", tmp_path / "tone.flac", "-c:a", "aac", video], check=True)
    with pytest.raises(ValueError, match="videos only") as error:
        list(meld(tmp_path))
    subprocess.run(["sh", "-c", str(error.value).split("beside the videos with: ")[1]], check=True)
    (utterance,) = meld(tmp_path)
    assert utterance.path.endswith("dia0_utt0.wav")


def test_a_missing_table_says_what_was_expected_and_found(tmp_path, write_audio):
    write_tables(tmp_path, parts=("train", "test"))
    write_audio(tmp_path / "train_splits" / "dia0_utt0.wav")
    with pytest.raises(FileNotFoundError, match=r"No dev_sent_emo.csv.*found \['test_sent_emo.csv', 'train_sent"):
        list(meld(tmp_path))


def test_tables_without_audio_are_no_corpus(tmp_path, write_audio):
    root = tmp_path / "test"
    root.mkdir()
    write_tables(root, [("test", "Hi", "Ross", "joy", 0, 0)])
    with pytest.raises(FileNotFoundError, match="No MELD utterances.*found no audio file"):
        list(meld(root))
    write_audio(root / "clips" / "dia0_utt0.wav")  # of which part? the root's own name does not tell
    with pytest.raises(FileNotFoundError, match="expected files like train_splits/dia0_utt0.wav"):
        list(meld(root))


def test_audio_in_the_videos_container_is_audio_and_videos_beside_audio_are_passed_over(tmp_path, write_audio, caplog):
    write_tables(tmp_path, [("train", "Hi", "Ross", "anger", 0, number) for number in (0, 1)])
    write_audio(tmp_path / "train_splits" / "dia0_utt0.wav")
    for name in ("dia0_utt0.MP4", "dia0_utt1.m4a", "dia0_utt2.mp4"):
        (tmp_path / "train_splits" / name).touch()
    assert [os.path.basename(utterance.path) for utterance in meld(tmp_path)] == ["dia0_utt0.wav", "dia0_utt1.m4a"]
    assert [record.getMessage() for record in caplog.records if record.levelname != "INFO"] == []


def test_the_first_of_two_copies_stays_and_a_missing_column_is_named(tmp_path, write_audio, caplog):
    write_tables(tmp_path, [("train", "Hi", "Ross", "Anger", 0, 0)])
    for folder in ("a_train", "b_train"):
        write_audio(tmp_path / folder / "dia0_utt0.wav")
    (utterance,) = meld(tmp_path)
    assert (utterance.path, utterance.emotion) == (str(tmp_path / "a_train" / "dia0_utt0.wav"), "angry")
    assert "Left out 1 MELD files as duplicates" in caplog.text
    (tmp_path / "dev_sent_emo.csv").write_text(HEADER.replace("Speaker", "Who"))
    with pytest.raises(ValueError, match=r"dev_sent_emo.csv' lacks \['Speaker'\]"):
        list(meld(tmp_path))
