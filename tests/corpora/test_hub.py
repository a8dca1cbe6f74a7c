import os
import subprocess
import sys

import datasets
import pytest

from ser_hf.corpora.hub import hub


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """Give each test a cache of its own, for our audio and for the library's tables."""
    monkeypatch.setenv("SER_HF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")


@pytest.fixture
def write_dataset(tmp_path, write_audio):
    """Make a dataset of two rows with the audio's bytes within it, ``write_dataset(more_columns)``."""

    def write(columns=None, *, names=("s1_a.wav", "s2_b.wav"), audio=None):
        rows = [{"bytes": audio_bytes(tmp_path, write_audio, frequency), "path": name}
                for frequency, name in zip((200, 300), names, strict=True)]  # fmt: skip
        dataset = datasets.Dataset.from_dict({"audio": audio or rows, "label": [0, 1]} | (columns or {}))
        dataset = dataset.cast_column("label", datasets.ClassLabel(names=["Anger", "sadness"]))
        return dataset.cast_column("audio", datasets.Audio())

    return write


def audio_bytes(folder, write_audio, frequency):
    write_audio(folder / "tone.wav", seconds=0.1, frequency=frequency)
    return (folder / "tone.wav").read_bytes()


def save(dataset, folder, form):
    """Save a dataset in one of the forms in which they lie on disk, and return what to name as data_root."""
    if form == "saved":
        dataset.save_to_disk(folder)
    elif form == "saved splits":
        datasets.DatasetDict({"train": dataset}).save_to_disk(folder)
    else:
        folder.mkdir()
        dataset.to_parquet(folder / "data.parquet")
    return folder / "data.parquet" if form == "Parquet file" else folder


@pytest.mark.parametrize("form", ["saved", "saved splits", "Parquet folder", "Parquet file"])
def test_every_form_on_disk_is_read(tmp_path, write_dataset, write_audio, form):
    dataset = write_dataset({"speaker_id": [7, 8], "gender": ["F", "M"], "start": [None, 0.05]})
    first, second = hub(save(dataset, tmp_path / "set", form))
    assert (first.corpus, first.emotion, first.speaker, first.gender) == ("hub", "angry", "7", "female")
    assert (second.emotion, second.speaker, second.start) == ("sad", "8", 0.05)
    assert (first.split, first.start) == (None, None)
    with open(first.path, "rb") as file:
        assert file.read() == audio_bytes(tmp_path, write_audio, 200)
    assert first.path.endswith(".wav")


def test_audio_is_written_once_and_nothing_is_left_over(tmp_path, write_dataset):
    root = save(write_dataset(), tmp_path / "set", "saved")
    (first, second), times = hub(root), {}
    for utterance in (first, second):
        assert utterance.path.startswith(str(tmp_path / "cache" / "hub"))
        times[utterance.path] = file_identity(utterance.path)
    assert [utterance.path for utterance in hub(root)] == list(times)
    assert {path: file_identity(path) for path in times} == times
    assert len([path for path in (tmp_path / "cache").rglob("*") if path.is_file()]) == 2


def file_identity(path):
    stat = os.stat(path)
    return stat.st_ino, stat.st_mtime_ns


def test_like_audio_is_kept_once(tmp_path, write_dataset):
    dataset = write_dataset()
    twice = datasets.concatenate_datasets([dataset, dataset])
    assert len({utterance.path for utterance in hub(save(twice, tmp_path / "set", "saved"))}) == 2


@pytest.mark.parametrize(("name", "content", "extension"), [
    ("a.FLAC", b"anything", ".flac"), (None, b"fLaC...", ".flac"), (None, b"OggS...", ".ogg"),
    (None, b"ID3...", ".mp3"), ("a", b"RIFF...", ".wav"), ("../../a.sh", b"RIFF...", ".wav"),
    (None, b"anything", ".audio"),
])  # fmt: skip
def test_the_extension_comes_from_the_name_or_the_first_bytes(tmp_path, write_dataset, name, content, extension):
    dataset = write_dataset(audio=[{"bytes": content, "path": name}] * 2)
    for utterance in hub(save(dataset, tmp_path / "set", "saved")):
        assert utterance.path.startswith(str(tmp_path / "cache" / "hub"))
        assert utterance.path.endswith(extension)


def test_a_file_beside_the_dataset_is_used_where_it_lies(tmp_path, write_dataset, write_audio):
    write_audio(tmp_path / "a.wav")
    dataset = write_dataset(audio=[{"bytes": None, "path": str(tmp_path / "a.wav")}] * 2)
    root = tmp_path / "set"
    root.mkdir()
    dataset.to_parquet(root / "data.parquet")
    assert {utterance.path for utterance in hub(root)} == {str(tmp_path / "a.wav")}


def test_every_split_is_read_and_named(tmp_path, write_dataset):
    splits = dict.fromkeys(("train", "dev", "test2"), write_dataset({"split": ["test", "test"]}))
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "set")
    found = [utterance.split for utterance in hub(tmp_path / "set")]
    assert found == ["train", "train", "validation", "validation", "test2", "test2"]


def test_a_single_split_is_told_unless_it_is_train(tmp_path, write_dataset):
    datasets.DatasetDict({"test": write_dataset()}).save_to_disk(tmp_path / "test")
    assert {utterance.split for utterance in hub(tmp_path / "test")} == {"test"}
    save(write_dataset({"split": ["train", "dev"]}), tmp_path / "column", "saved")
    assert [utterance.split for utterance in hub(tmp_path / "column")] == ["train", "validation"]


def test_the_audio_column_is_known_by_its_type(tmp_path, write_dataset):
    dataset = write_dataset({"path": ["a", "b"], "file": ["a", "b"]}).rename_column("audio", "sound")
    assert len(list(hub(save(dataset, tmp_path / "set", "saved")))) == 2
    with pytest.raises(ValueError, match=r"Expected audio in the column 'file'.*with audio: \['sound'\].*'table'"):
        list(hub(tmp_path / "set", columns={"path": "file"}))


def test_parquet_that_another_library_wrote_is_read(tmp_path, write_dataset):
    dataset = write_dataset().cast_column("audio", datasets.Audio(decode=False)).with_format("numpy")
    dataset.to_pandas().to_parquet(tmp_path / "set.parquet")
    assert [utterance.emotion for utterance in hub(tmp_path / "set.parquet")] == ["0", "1"]  # names were lost


def test_a_format_that_was_saved_does_not_matter(tmp_path, write_dataset):
    dataset = write_dataset({"valence": [1.5, 2.5]}).with_format("numpy", columns=["valence"])
    assert [utterance.valence for utterance in hub(save(dataset, tmp_path / "set", "saved"))] == [1.5, 2.5]


def test_columns_are_named_where_they_are_not_guessed(tmp_path, write_dataset):
    dataset = write_dataset({"feeling": ["joy", "fear"], "who": ["x", "y"]})
    root = save(dataset, tmp_path / "set", "saved")
    utterances = list(hub(root, columns={"emotion": "feeling", "speaker": "who"}))
    assert [(utterance.emotion, utterance.speaker) for utterance in utterances] == [("happy", "x"), ("fearful", "y")]


def test_missing_columns_name_those_that_are_there(tmp_path, write_dataset):
    dataset = write_dataset()
    root = save(dataset.rename_column("label", "feeling"), tmp_path / "one", "saved")
    with pytest.raises(ValueError, match=r"column for emotion in .*\['audio', 'feeling'\].*--columns emotion=…"):
        list(hub(root))
    root = save(dataset.remove_columns("audio").add_column("x", [1, 2]), tmp_path / "two", "saved")
    with pytest.raises(ValueError, match=r"column for path in .*\['label', 'x'\]"):
        list(hub(root))


def test_rows_without_emotion_or_audio_are_left_out_and_counted(tmp_path, write_dataset, caplog):
    dataset = datasets.concatenate_datasets([write_dataset(), write_dataset()])
    features, rows = dataset.features, dataset.cast_column("audio", datasets.Audio(decode=False)).to_dict()
    rows["label"][1], rows["label"][2], rows["audio"][3] = -1, None, {"bytes": None, "path": None}
    dataset = datasets.Dataset.from_dict(rows).cast(features)
    root = save(dataset, tmp_path / "set", "Parquet folder")
    assert [utterance.emotion for utterance in hub(root)] == ["angry"]
    assert "Left out 3 of 4 rows" in caplog.text
    assert "first: row 2 of 'train'" in caplog.text


def test_a_dataset_without_any_emotion_is_an_error(tmp_path, write_dataset):
    dataset = write_dataset().remove_columns("label").add_column("label", ["", ""])
    with pytest.raises(ValueError, match="No utterances in .*found 2 rows without"):
        list(hub(save(dataset, tmp_path / "set", "saved")))


def test_a_cell_that_makes_no_sense_is_an_error_with_its_row(tmp_path, write_dataset):
    root = save(write_dataset({"age": ["30", "twenties"]}), tmp_path / "set", "saved")
    with pytest.raises(ValueError, match="Row 2 of '.*set', split 'train': age: expected years, found 'twenties'"):
        list(hub(root))
    root = save(write_dataset({"emotion": [["sad"], ["sad", "happy"]]}), tmp_path / "lists", "saved")
    with pytest.raises(ValueError, match="Row 1 of .*emotion: expected text, found list"):
        list(hub(root))


def test_the_pattern_gives_the_speaker(tmp_path, write_dataset):
    root = save(write_dataset(), tmp_path / "set", "saved")
    assert [utterance.speaker for utterance in hub(root, speaker_pattern=r"^(s\d)_")] == ["s1", "s2"]
    with pytest.raises(ValueError, match="Row 2 .*finds no speaker in 's2_b.wav'"):
        list(hub(root, speaker_pattern="^s1"))


def test_a_subset_is_chosen_by_name(tmp_path, write_dataset):
    (tmp_path / "set").mkdir()
    for name, start in (("one", 0.1), ("two", 0.2)):
        write_dataset({"start": [start, start]}).to_parquet(tmp_path / "set" / f"{name}.parquet")
    lines = "".join(f"- config_name: {name}\n  data_files: {name}.parquet\n" for name in ("one", "two"))
    (tmp_path / "set" / "README.md").write_text(f"---\nconfigs:\n{lines}---\n")
    assert {utterance.start for utterance in hub(tmp_path / "set", subset="two")} == {0.2}
    with pytest.raises(ValueError, match="one.*two"):
        list(hub(tmp_path / "set"))


@pytest.mark.parametrize("root", ["nobody/nothing", "nothing", "missing/folder/of/mine", "empty"])
def test_an_unknown_dataset_says_what_was_expected(tmp_path, monkeypatch, root):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=f"No dataset '{root}': expected an id on the Hub"):
        list(hub(root))


def test_loose_audio_without_torchcodec_says_what_to_do(tmp_path, write_audio, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchcodec", None)
    monkeypatch.setitem(sys.modules, "torchcodec.encoders", None)
    for name in ("happy/a.wav", "sad/b.wav"):
        write_audio(tmp_path / "set" / name)
    with pytest.raises(ImportError, match="separate audio files.*torchcodec.*'folder'"):
        list(hub(tmp_path / "set"))


def test_a_cache_that_cannot_be_written_says_what_to_do(tmp_path, write_dataset, monkeypatch):
    root = save(write_dataset(), tmp_path / "set", "saved")
    (tmp_path / "file").touch()
    monkeypatch.setenv("SER_HF_CACHE", str(tmp_path / "file"))
    with pytest.raises(RuntimeError, match="Cannot write to the cache .*SER_HF_CACHE"):
        list(hub(root))


def test_corpora_are_imported_without_the_library_datasets():
    script = (
        "import sys, ser_hf.corpora.hub, ser_hf.corpora.table\n"
        "assert not {'datasets', 'pyarrow', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_genders_of_unknown_names_are_counted_in_one_warning(tmp_path, write_dataset, caplog):
    root = save(write_dataset({"gender": ["weiblich", "m"]}), tmp_path / "set", "saved")
    assert [utterance.gender for utterance in hub(root)] == [None, "male"]
    assert f"1 genders of '{root}' were not recognised" in caplog.text
    assert "'weiblich' 1 times" in caplog.text
