"""`ser_hf.train`: the settings of a recipe, and datasets that are in memory."""

import io
import os
import shutil

import numpy as np
import pytest
import soundfile
from datasets import Audio, Dataset, DatasetDict
from stock_pipeline import pipeline_in_this_process  # noqa: F401
from voices import say

import ser_hf
from ser_hf.workflows import train as module


def encode(waveform):
    file = io.BytesIO()
    soundfile.write(file, waveform, 16_000, format="FLAC")
    return {"bytes": file.getvalue(), "path": None}


@pytest.fixture(scope="module")
def dataset():
    rows = [(speaker, emotion, take) for speaker in range(4) for emotion in range(2) for take in range(3)]
    return Dataset.from_dict({
        "audio": [encode(say(*row)) for row in rows],
        "emotion": [("angry", "sad")[emotion] for _, emotion, _ in rows],
        "speaker": [["anna", "ben", "chloe", "david"][speaker] for speaker, _, _ in rows],
    }).cast_column("audio", Audio(sampling_rate=16_000))  # fmt: skip


def test_a_setting_of_the_call_replaces_that_of_the_recipe(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "finetune", lambda *arguments: arguments)
    data, model, training = ser_hf.train("quickstart", num_train_epochs=3, label_map=["sad=low"], output_dir=tmp_path)
    assert (data.corpus, data.pitch, data.label_map) == (["synthetic"], 2, ["sad=low"])
    assert (model.model_type, model.mask_time_prob) == ("mel", 0.05)
    assert (training.num_train_epochs, training.learning_rate, training.output_dir) == (3, 0.002, str(tmp_path))


def test_an_unknown_setting_is_named_with_the_nearest_one():
    with pytest.raises(ValueError, match="Unknown key 'num_epochs'. Did you mean"):
        ser_hf.train("quickstart", num_epochs=3)


def test_a_dataset_in_memory_is_trained_on(dataset, tmp_path):
    results = ser_hf.train(
        dataset=dataset, model_type="mel", num_train_epochs=1, use_cpu=True, output_dir=tmp_path / "run"
    )
    assert results.outputs == ["angry", "sad"]
    assert results.test.utterances == 6  # of one of the four speakers
    assert np.isfinite(results.test.ua)


def test_the_split_of_a_dataset_is_kept(dataset, monkeypatch, tmp_path):
    speakers = np.array(dataset["speaker"])
    splits = DatasetDict({
        "train": dataset.select(np.flatnonzero(np.isin(speakers, ["anna", "ben"]))),
        "validation": dataset.select(np.flatnonzero(speakers == "chloe")),
        "test": dataset.select(np.flatnonzero(speakers == "david")),
    })  # fmt: skip
    monkeypatch.setattr(module, "finetune", lambda *arguments: arguments)
    data, _, _ = ser_hf.train(dataset=splits, model_type="mel", output_dir=tmp_path)
    found = {(each.split, each.speaker) for each in ser_hf.load_corpus("hub", data.data_root[0])}
    assert found == {("train", "anna"), ("train", "ben"), ("validation", "chloe"), ("test", "david")}


def test_a_dataset_is_stored_once(dataset):
    first = module.store_dataset(dataset)
    written = (first / "state.json").stat().st_mtime_ns
    assert module.store_dataset(dataset) == first
    assert (first / "state.json").stat().st_mtime_ns == written
    assert module.store_dataset(dataset.select(range(12))) != first


@pytest.mark.parametrize(("settings", "named"), [
    ({"corpus": "ravdess", "data_root": "/nowhere"}, "dataset= and corpus= and data_root="),
    ({"data_root": "/nowhere"}, "dataset= and data_root="),
])  # fmt: skip
def test_a_corpus_beside_a_dataset_is_refused(dataset, settings, named):
    with pytest.raises(ValueError, match=f"Expected a dataset or a corpus, found {named}"):
        ser_hf.train(dataset=dataset, **settings)


def test_a_dataset_takes_the_place_of_the_corpus_of_a_recipe(dataset, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "finetune", lambda *arguments: arguments)
    data, _, _ = ser_hf.train("quickstart", dataset=dataset, output_dir=tmp_path)
    assert data.corpus == ["hub"]


@pytest.mark.parametrize(("value", "name"), [([{"audio": "a.wav"}], "list"), ("imdb", "str")])
def test_only_datasets_are_accepted_as_datasets(value, name):
    with pytest.raises(TypeError, match=f"expected a datasets.Dataset or DatasetDict, found {name}"):
        ser_hf.train(dataset=value)


def test_a_dataset_that_another_process_stores_at_the_same_time_is_used(dataset, monkeypatch):
    ours, rename = dataset.select(range(3)), os.rename

    def rename_later(source, target):
        shutil.copytree(source, target)
        rename(source, target)

    monkeypatch.setattr(module.os, "rename", rename_later)
    assert Dataset.load_from_disk(module.store_dataset(ours)).num_rows == 3
