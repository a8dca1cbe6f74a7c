import csv

import numpy as np
import pytest
import soundfile
from datasets import Audio

from ser_hf.corpora import Utterance, load_corpus
from ser_hf.data import build_dataset, prepare_audio, split_by_speaker, write_problems
from ser_hf.data.audio import cached_audio


def utterance(path, **fields):
    return Utterance(path=str(path), corpus="toy", emotion="sad", speaker="1", **fields)


@pytest.fixture
def rotten(tmp_path, write_audio):
    """One good file among bad ones, as utterances by the name of what is wrong."""
    write_audio(tmp_path / "good.wav", seconds=1.0)
    write_audio(tmp_path / "short.wav", seconds=0.01)
    write_audio(tmp_path / "long.wav", seconds=20 * 60, rate=8_000)
    (tmp_path / "text.wav").write_text("not audio")
    (tmp_path / "empty.wav").touch()
    soundfile.write(tmp_path / "zero_length.wav", np.zeros(0), 16_000)
    soundfile.write(tmp_path / "nan.wav", np.full(8_000, np.nan), 16_000, subtype="FLOAT")
    names = ("good", "short", "long", "text", "empty", "zero_length", "nan", "missing")
    return {name: utterance(tmp_path / f"{name}.wav") for name in names}


def test_bad_files_are_skipped_cut_or_padded_and_listed(rotten, tmp_path):
    split, problems = prepare_audio({"train": list(rotten.values())}, max_duration=30)
    durations = {row.path.rsplit("/")[-1]: row.duration for row in split["train"]}
    assert durations == {"good.wav": 1.0, "short.wav": 0.01, "long.wav": 30.0}
    actions = {problem.path.rsplit("/")[-1].removesuffix(".wav"): problem.action for problem in problems}
    assert actions == {"short": "padded", "long": "cut"} | dict.fromkeys(
        ("text", "empty", "zero_length", "nan", "missing"), "skipped"
    )
    write_problems(problems, tmp_path / "problems.csv")
    with (tmp_path / "problems.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 7


def test_a_long_utterance_costs_the_cache_its_first_seconds_only(rotten):
    split, _ = prepare_audio({"train": [rotten["long"]]}, max_duration=30)
    (cut,) = split["train"]
    assert cached_audio(cut.path, start=cut.start, end=cut.end).stat().st_size == pytest.approx(2 * 480_000, abs=256)


def test_segments_have_their_own_durations(tmp_path, write_audio):
    write_audio(tmp_path / "a.wav", seconds=3.0)
    rows = [utterance(tmp_path / "a.wav", start=0.5, end=2.0), utterance(tmp_path / "a.wav", start=2.0, end=9.0)]
    split, problems = prepare_audio({"train": rows}, max_duration=30)
    assert [row.duration for row in split["train"]] == [1.5, 1.0]
    assert not problems


def test_a_part_without_a_readable_file_is_refused(rotten):
    with pytest.raises(ValueError, match="Expected readable audio in test, but none of its 1 utterances"):
        prepare_audio({"train": [rotten["good"]], "test": [rotten["text"]]}, max_duration=30)


def test_the_dataset_has_audio_at_16_khz_labels_and_relative_paths(toy_ravdess):
    split, _ = prepare_audio(split_by_speaker(load_corpus("ravdess", toy_ravdess)), max_duration=30)
    dataset = build_dataset(split, toy_ravdess)
    assert set(dataset) == {"train", "validation", "test"}
    assert sum(dataset.num_rows.values()) == 48
    features = dataset["test"].features
    assert features["audio"] == Audio(sampling_rate=16_000, decode=False)
    assert features["label"].names == ["angry", "happy", "neutral", "sad"]
    row = dataset["test"][0]
    assert row["path"] == f"Actor_{row['speaker']}/{row['path'].rsplit('/')[-1]}"
    assert row["audio"]["path"] == str(toy_ravdess / row["path"])
    assert features["label"].int2str(row["label"]) == row["emotion"]
    assert [row["index"] for row in dataset["train"]] == list(range(len(dataset["train"])))
