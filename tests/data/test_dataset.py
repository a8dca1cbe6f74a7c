import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from datasets import Audio

from ser_hf.corpora import Utterance, load_corpus
from ser_hf.data import build_dataset, prepare_audio, split_by_speaker
from ser_hf.data.dataset import load_row
from ser_hf.data.hearing import Hearing
from ser_hf.data.preparation import check_prepared


def utterance(path, **fields):
    return Utterance(path=str(path), corpus="toy", emotion="sad", speaker="1", **fields)


@pytest.fixture(scope="session")
def spoken(synthetic_corpus):
    """An utterance of the synthetic corpus, ``(T,)`` float32 at 16 kHz."""
    return soundfile.read(synthetic_corpus / "speaker_01" / "sp01-angry-01.wav", dtype="float32")[0]


@pytest.fixture
def rotten(tmp_path, write_audio):
    """One good file among bad ones, as utterances by the name of what is wrong."""
    write_audio(tmp_path / "good.wav", seconds=1.0)
    write_audio(tmp_path / "short.wav", seconds=0.06)
    write_audio(tmp_path / "click.wav", seconds=0.03)
    write_audio(tmp_path / "long.wav", seconds=20 * 60, rate=8_000)
    (tmp_path / "text.wav").write_text("not audio")
    (tmp_path / "empty.wav").touch()
    soundfile.write(tmp_path / "zero_length.wav", np.zeros(0), 16_000)
    soundfile.write(tmp_path / "nan.wav", np.full(8_000, np.nan), 16_000, subtype="FLOAT")
    names = ("good", "short", "click", "long", "text", "empty", "zero_length", "nan", "missing")
    return {name: utterance(tmp_path / f"{name}.wav") for name in names}


def test_bad_files_are_skipped_windowed_or_padded_and_listed(rotten):
    split, problems = prepare_audio({"train": list(rotten.values())})
    durations = {row.path.rsplit("/")[-1]: row.duration for row in split["train"]}
    assert durations == {"good.wav": 1.0, "short.wav": 0.06, "long.wav": 1200.0}
    actions = {problem.path.rsplit("/")[-1].removesuffix(".wav"): problem.action for problem in problems}
    assert actions == {"short": "padded", "click": "too short", "long": "windowed"} | dict.fromkeys(
        ("text", "empty", "zero_length", "nan", "missing"), "skipped"
    )


def test_a_long_utterance_becomes_equal_windows_that_overlap_and_cover_it(tmp_path, write_audio):
    waveform = write_audio(tmp_path / "long.wav", seconds=5.0)
    rows = [utterance(tmp_path / "long.wav"), utterance(tmp_path / "long.wav", start=1.0, end=3.0)]
    hearing = Hearing(max_duration=2.0, window_overlap=0.25)
    split, problems = prepare_audio({"train": rows}, hearing)
    assert [(problem.action, problem.reason) for problem in problems] == [
        ("windowed", "lasts 5.000 s, split into 3 windows of 2 s")
    ]
    dataset = build_dataset(split, {"toy": tmp_path}, hearing)["train"]
    assert dataset["utterance"] == [0, 0, 0, 1]
    assert dataset["duration"] == [2.0] * 4
    heard = [load_row(row) for row in dataset]
    for start, window in zip((0.0, 1.5, 3.0, 1.0), heard, strict=True):
        first = round(start * 16_000)
        np.testing.assert_allclose(window, waveform[first : first + 32_000], atol=1e-4)


def test_shorter_utterances_than_asked_for_are_left_out_and_listed(tmp_path, write_audio):
    for seconds in (0.5, 1.5):
        write_audio(tmp_path / f"{seconds}.wav", seconds=seconds)
    rows = [utterance(tmp_path / f"{seconds}.wav") for seconds in (0.5, 1.5)]
    split, problems = prepare_audio({"train": rows}, min_duration=1.0)
    assert [row.duration for row in split["train"]] == [1.5]
    assert [(problem.action, problem.reason) for problem in problems] == [
        ("too short", "lasts 0.500 s, less than the minimum of 1 s")
    ]


def test_silence_is_trimmed_at_the_ends_and_on_request_inside(tmp_path, spoken):
    quiet = np.zeros(16_000, dtype=np.float32)
    soundfile.write(tmp_path / "a.wav", np.concatenate([quiet, spoken, quiet, spoken, quiet]), 16_000)
    length = len(spoken) / 16_000
    durations = {}
    for trim in ("none", "ends", "pauses"):
        split, _ = prepare_audio({"train": [utterance(tmp_path / "a.wav")]}, Hearing(trim))
        (row,) = build_dataset(split, {"toy": tmp_path}, Hearing(trim))["train"]
        durations[trim] = row["duration"]
        assert len(load_row(row)) == pytest.approx(row["duration"] * 16_000, abs=1)
    assert durations["none"] == pytest.approx(3 + 2 * length, abs=0.001)
    assert durations["ends"] == pytest.approx(1 + 2 * length, abs=0.3)
    assert durations["pauses"] < durations["ends"] - 0.4


@pytest.mark.parametrize("trim", ["ends", "pauses"])
def test_with_silero_music_is_trimmed_like_silence(tmp_path, spoken, trim):
    times = np.arange(4 * 16_000) / 16_000
    music = sum(0.1 * np.sin(2 * np.pi * hertz * times) for hertz in (220, 277, 330)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", np.concatenate([music, spoken, music, spoken, music]), 16_000)
    durations = {}
    for speech in ("energy", "silero"):
        hearing = Hearing(trim, speech=speech)
        split, _ = prepare_audio({"train": [utterance(tmp_path / "a.wav")]}, hearing)
        (row,) = build_dataset(split, {"toy": tmp_path}, hearing)["train"]
        durations[speech] = row["duration"]
        assert len(load_row(row)) == pytest.approx(row["duration"] * 16_000, abs=1)
    speaking = 2 * len(spoken) / 16_000
    assert durations["energy"] > 11 + speaking
    assert durations["silero"] < speaking + (1.5 if trim == "pauses" else 5.5)


def test_a_raw_part_is_whole_and_untrimmed_beside_training_audio_that_is_trimmed_and_windowed(tmp_path, spoken):
    quiet = np.zeros(32_000, dtype=np.float32)
    waveform = np.concatenate([quiet, np.tile(spoken, 3), quiet])
    soundfile.write(tmp_path / "a.wav", waveform, 16_000)
    soundfile.write(tmp_path / "b.wav", spoken[:2_400], 16_000)
    options = {"hearing": Hearing("ends", 1.0), "raw": ("validation", "test")}
    parts = {
        "train": [utterance(tmp_path / "a.wav")],
        "validation": [utterance(tmp_path / "a.wav", start=1.0, end=4.0), utterance(tmp_path / "b.wav")],
        "test": [utterance(tmp_path / "a.wav")],
    }
    split, problems = prepare_audio(parts, **options)
    assert [(problem.path.rsplit("/")[-1], problem.action) for problem in problems] == [("a.wav", "windowed")]
    dataset = build_dataset(split, {"toy": tmp_path}, **options)
    (whole,) = dataset["test"]
    assert (whole["start"], whole["end"], whole["raw"], whole["pauses"]) == (None, None, True, True)
    assert whole["duration"] == (whole["window_end"] - whole["window_start"]) == len(waveform) / 16_000
    assert np.array_equal(load_row(whole), soundfile.read(tmp_path / "a.wav", dtype="float32")[0])
    assert dataset["validation"]["duration"] == [3.0, 0.15]
    assert np.array_equal(load_row(dataset["validation"][0]), load_row(whole)[16_000:64_000])
    assert len(dataset["train"]) >= 4
    assert set(dataset["train"]["raw"]) == {False}
    assert dataset["train"][0]["start"] == pytest.approx(2.0, abs=0.3)
    assert all(len(load_row(row)) == 16_000 for row in dataset["train"])


def test_pauses_are_kept_in_a_raw_part_only(tmp_path, spoken):
    waveform = np.concatenate([spoken, np.zeros(16_000, dtype=np.float32), spoken])
    soundfile.write(tmp_path / "a.wav", waveform, 16_000)
    options = {"hearing": Hearing("pauses"), "raw": ("test",)}
    rows = [utterance(tmp_path / "a.wav")]
    split, _ = prepare_audio({"train": rows, "test": rows}, **options)
    dataset = build_dataset(split, {"toy": tmp_path}, **options)
    assert len(load_row(dataset["test"][0])) == len(waveform)
    assert len(load_row(dataset["train"][0])) < len(waveform) - 6_400
    assert (dataset["train"]["pauses"], dataset["test"]["pauses"]) == ([False], [True])


def test_a_raw_row_is_neither_clipped_nor_rounded_as_the_cache_of_training_does(tmp_path):
    waveform = np.linspace(-2, 2, 16_000, dtype=np.float32)
    soundfile.write(tmp_path / "loud.wav", waveform, 16_000, subtype="FLOAT")
    rows = [utterance(tmp_path / "loud.wav")]
    split, _ = prepare_audio({"train": rows, "test": rows}, raw=("test",))
    dataset = build_dataset(split, {"toy": tmp_path}, raw=("test",))
    assert np.array_equal(load_row(dataset["test"][0]), waveform)
    cached = load_row(dataset["train"][0])
    assert (cached.min(), cached.max()) == pytest.approx((-1, 1), abs=1e-4)


def test_audio_of_30_ms_is_left_out_of_every_part_with_its_reason(tmp_path, write_audio):
    write_audio(tmp_path / "click.wav", seconds=0.03)
    write_audio(tmp_path / "good.wav", seconds=0.05)
    rows = [utterance(tmp_path / "click.wav"), utterance(tmp_path / "good.wav")]
    split, problems = prepare_audio({"train": rows, "validation": rows, "test": rows}, raw=("validation", "test"))
    assert {part: [row.duration for row in rows] for part, rows in split.items()} == {
        "train": [0.05], "validation": [0.05], "test": [0.05],
    }  # fmt: skip
    assert [(problem.action, problem.reason) for problem in problems if problem.path.endswith("click.wav")] == [
        ("too short", "lasts 0.030 s, less than the 0.05 s that encoders need")
    ] * 3


def test_votes_and_ratings_are_carried_along(tmp_path, write_audio):
    write_audio(tmp_path / "a.wav")
    rated = utterance(tmp_path / "a.wav", valence=2.5, votes={"sad": 2, "angry": 1}, session="Session1")
    split, _ = prepare_audio({"train": [rated]})
    (row,) = build_dataset(split, {"toy": tmp_path})["train"]
    assert (row["valence"], row["session"], row["votes"]) == (2.5, "Session1", '{"angry": 1, "sad": 2}')


def test_segments_have_their_own_durations(tmp_path, write_audio):
    write_audio(tmp_path / "a.wav", seconds=3.0)
    rows = [utterance(tmp_path / "a.wav", start=0.5, end=2.0), utterance(tmp_path / "a.wav", start=2.0, end=9.0)]
    split, problems = prepare_audio({"train": rows})
    assert [row.duration for row in split["train"]] == [1.5, 1.0]
    assert [problem.action for problem in problems] == ["partial"]


def test_a_part_without_a_readable_file_is_refused(rotten):
    split = {"train": [rotten["good"]], "test": [rotten["text"]]}
    with pytest.raises(ValueError, match="Expected usable audio in test, but none of its 1 utterances"):
        check_prepared(split, *prepare_audio(split), allow_missing=True)


def test_the_dataset_has_audio_at_16_khz_labels_and_relative_paths(toy_ravdess):
    split, _ = prepare_audio(split_by_speaker(load_corpus("ravdess", toy_ravdess)))
    dataset = build_dataset(split, {"ravdess": toy_ravdess})
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


def test_an_emotion_that_vanishes_is_refused_unless_allowed(rotten):
    good = [rotten["good"]] * 30 + [replace(rotten["good"], emotion="happy")]
    split = {"train": [*good, replace(rotten["text"], emotion="calm")]}
    prepared, problems = prepare_audio(split)
    with pytest.raises(ValueError, match=r"No utterance of \['calm'\] .* \(first: .*text.wav.*allow_missing"):
        check_prepared(split, prepared, problems, allow_missing=False)
    check_prepared(split, prepared, problems, allow_missing=True)


@pytest.mark.parametrize(("bad", "refused"), [(1, False), (2, True)])
def test_more_than_a_tenth_skipped_is_refused(rotten, bad, refused):
    split = {"train": [rotten["good"]] * (12 - bad) + [rotten["text"]] * bad}
    prepared, problems = prepare_audio(split)
    if refused:
        with pytest.raises(ValueError, match="2 of 12 utterances were skipped"):
            check_prepared(split, prepared, problems, allow_missing=False)
    else:
        check_prepared(split, prepared, problems, allow_missing=False)


def test_utterances_that_are_too_short_by_choice_are_not_missing(rotten):
    split = {"train": [rotten["good"], rotten["short"], rotten["short"]]}
    check_prepared(split, *prepare_audio(split, min_duration=0.5), allow_missing=False)


def test_a_row_with_a_problem_is_skipped_with_its_reason(rotten):
    bad = replace(rotten["good"], problem="Row 3: bad times")
    split, problems = prepare_audio({"train": [rotten["good"], bad]})
    assert split["train"] == [replace(rotten["good"], duration=1.0)]
    assert [(problem.action, problem.reason) for problem in problems] == [("skipped", "Row 3: bad times")]


def test_a_pointer_of_git_lfs_is_called_one(tmp_path):
    (tmp_path / "a.wav").write_text("version https://git-lfs.github.com/spec/v1\n")
    _, (problem,) = prepare_audio({"train": [utterance(tmp_path / "a.wav")]})
    assert "is not audio but a pointer of Git LFS: run 'git lfs install' and 'git lfs pull'" in problem.reason


def test_files_that_break_off_are_used_and_listed_with_what_is_missing(tmp_path, spoken):
    waveform = np.tile(spoken, 3)[:32_000]
    for name in ("a.flac", "b.wav", "c.wav"):
        soundfile.write(tmp_path / name, waveform, 16_000)
    for name in ("a.flac", "b.wav"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    rows = [utterance(tmp_path / "a.flac"), utterance(tmp_path / "b.wav"), utterance(tmp_path / "c.wav", end=2.5)]
    split, problems = prepare_audio({"train": rows}, raw=("train",))
    assert [problem.action for problem in problems] == ["partial"] * 3
    assert "of the 2.00 s that its header promises" in problems[0].reason
    assert problems[2].reason.endswith("c.wav' ends 0.50 s before the end of the segment at 2.5 s")
    dataset = build_dataset(split, {"toy": tmp_path}, raw=("train",))["train"]
    assert dataset["duration"] == pytest.approx([1.0, 1.0, 2.0], abs=0.3)
    assert [len(load_row(row)) / 16_000 for row in dataset] == pytest.approx(dataset["duration"])


def test_times_of_another_file_stop_the_training_with_the_cause(tmp_path, spoken):
    for i in range(4):
        soundfile.write(tmp_path / f"{i}.wav", spoken, 16_000)
    rows = [utterance(tmp_path / f"{i}.wav", start=30.0 + i, end=31.0 + i) for i in range(4)]
    prepared, problems = prepare_audio({"train": rows})
    with pytest.raises(ValueError, match="4 of 4 segments .*start of the dialogue.*--columns start= end="):
        check_prepared({"train": rows}, prepared, problems, allow_missing=False)


def test_a_dataset_is_built_without_lists_of_all_values(monkeypatch):
    count = 5_000
    rows = [
        Utterance(path=f"/corpus/speaker/{i:08d}.wav", corpus="table", emotion="sad", speaker="a", duration=2.0)
        for i in range(count)
    ]
    peaks = []
    for block in (250, count):
        monkeypatch.setattr("ser_hf.data.dataset.BLOCK", block)
        tracemalloc.start()
        dataset = build_dataset({"train": rows}, {"table": "/corpus"})["train"]
        peaks.append(tracemalloc.get_traced_memory()[1] / count)
        tracemalloc.stop()
        assert dataset["index"][:] == list(range(count))
        assert dataset[count - 1]["path"] == "speaker/00004999.wav"
    assert peaks[0] < 450  # bytes per row: numbers of the rows and their windows
    assert peaks[1] > 600


def test_the_rows_are_in_files_of_the_cache_which_all_processes_share(toy_ravdess, tmp_path, monkeypatch):
    monkeypatch.setenv("SER_HF_CACHE", str(tmp_path))
    split = {"train": [replace(row, duration=1.0) for row in load_corpus("ravdess", toy_ravdess)]}
    one, other = (build_dataset(split, {"ravdess": toy_ravdess})["train"] for _ in range(2))
    (file,) = (tmp_path / "rows").iterdir()
    assert [item["filename"] for item in (*one.cache_files, *other.cache_files)] == [str(file), str(file)]
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content[:-8])  # a file that lacks its end is written again
    assert build_dataset(split, {"ravdess": toy_ravdess})["train"][:] == one[:]
    assert file.read_bytes() == content
