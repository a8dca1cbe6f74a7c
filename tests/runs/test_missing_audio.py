"""What happens if a corpus is not read whole: the true cause is named, and the problems are written first."""

import csv

import pytest

from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.speech_data import load_speech


@pytest.fixture
def corpus(tmp_path, write_audio):
    """Six speakers in three emotions, as folders of emotions."""
    for speaker in range(6):
        for i, emotion in enumerate(("angry", "happy", "sad")):
            write_audio(tmp_path / "data" / emotion / f"s{speaker}_a.wav", frequency=150 + 100 * i + 7 * speaker)
    return tmp_path / "data"


def load(root, output_dir=None, corpus="folder", **options):
    options = {"speaker_pattern": r"(s\d+)_"} | options
    return load_speech(DataArguments([corpus], [str(root)], **options), output_dir=output_dir)


def read_problems(folder):
    with (folder / "audio_problems.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_an_emotion_of_unreadable_files_is_refused_and_the_files_are_listed(corpus, tmp_path):
    for path in list((corpus / "sad").iterdir()):
        path.rename(path.with_suffix(".m4a"))
        path.with_suffix(".m4a").write_bytes(b"no audio that anything reads")
    with pytest.raises(ValueError, match=r"No utterance of \['sad'\] .*Problems with the audio: .*csv"):
        load(corpus, tmp_path / "out")
    assert {row["action"] for row in read_problems(tmp_path / "out")} == {"skipped"}
    assert len(read_problems(tmp_path / "out")) == 6
    assert load(corpus, allow_missing=True).outputs == ["angry", "happy"]


def test_too_few_speakers_name_the_files_that_were_not_read(corpus, tmp_path):
    for path in list(corpus.rglob("s[2-5]_a.wav")):
        path.rename(path.with_suffix(".xyz"))
    with pytest.raises(ValueError, match=r"found 2 speakers .*12 files .*\(12 .xyz; first"):
        load(corpus)


def test_bad_rows_of_a_table_are_written_before_the_split_fails(corpus, tmp_path):
    rows = ["path,emotion,speaker,start,end"]
    rows += [f"{path.parent.name}/{path.name},{path.parent.name},x,2,1" for path in sorted(corpus.rglob("*.wav"))[:4]]
    (corpus / "labels.csv").write_text("\n".join(rows))
    with pytest.raises(ValueError, match="expected at least 3 speakers.*Problems with the audio"):
        load(corpus, tmp_path / "out", corpus="table", speaker_pattern=None)
    assert [row["reason"].partition(": ")[2] for row in read_problems(tmp_path / "out")] == [
        "expected 0 <= start < end in seconds, found start 2 and end 1.0."
    ] * 4


def test_one_bad_row_is_skipped_and_listed(corpus):
    rows = ["path,emotion,start,end"]
    rows += [f"{path.parent.name}/{path.name},{path.parent.name},," for path in sorted(corpus.rglob("*.wav"))]
    rows[5] = rows[5].removesuffix(",") + "4,1"
    (corpus / "labels.csv").write_text("\n".join(rows))
    speech = load(corpus, corpus="table")
    assert [problem.action for problem in speech.problems if "found start 4 and end 1" in problem.reason] == ["skipped"]
    assert sum(speech.dataset.num_rows.values()) == 17


def test_partitions_of_folders_are_the_split_as_given(tmp_path, write_audio):
    for i, part in enumerate(("train", "dev", "test")):
        for k, emotion in enumerate(("angry", "sad")):
            write_audio(tmp_path / part / emotion / f"s{i}_a.wav", frequency=200 + 90 * i + 30 * k)
    speech = load(tmp_path, split="given")
    assert {part: set(speech.dataset[part]["speaker"]) for part in speech.dataset} == {
        "train": {"s0"}, "validation": {"s1"}, "test": {"s2"},
    }  # fmt: skip
