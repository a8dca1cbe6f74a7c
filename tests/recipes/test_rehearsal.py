"""The rehearsal of a training finds planted faults before the training starts, and passes a healthy one."""

import logging
import re

import numpy as np
import pandas
import pytest
import soundfile

from ser_hf import DataArguments, ModelArguments, SerTrainingArguments, finetune
from ser_hf.corpora.synthetic import synthetic
from ser_hf.training import rehearsal

MEL = ["features=mel", "encoder=cnn", "hop_length=320", "hidden_size=32", "keep_level=true"]


@pytest.fixture
def run(synthetic_corpus, tmp_path):
    """Fine-tune for one epoch after a rehearsal: ``run(task=…, learning_rate=…)``; returns the output folder."""

    def start(*, task="categories", learning_rate=3e-3, data=None):
        training = SerTrainingArguments(
            output_dir=str(tmp_path / "out"), rehearse=True, num_train_epochs=1, learning_rate=learning_rate,
            per_device_train_batch_size=16, use_cpu=True, dataloader_num_workers=0, report_to="none",
        )  # fmt: skip
        data = data or DataArguments(["synthetic"], [str(synthetic_corpus)], task=task)
        finetune(data, ModelArguments(model_type="mel", config_overrides=MEL), training)
        return tmp_path / "out"

    return start


@pytest.fixture(autouse=True)
def few_checked(monkeypatch):
    """Compare the labels of fewer utterances with their audio: their features take most of the time."""
    monkeypatch.setattr(rehearsal, "CHECKED", 96)


@pytest.fixture
def quick(monkeypatch):
    """Do without the training that follows the rehearsal."""

    class Passed(Exception):
        pass

    def stop(*arguments, **options):
        raise Passed

    monkeypatch.setattr("ser_hf.workflows.finetune.claim_folder", stop)
    return Passed


@pytest.mark.parametrize(
    "task",
    [
        "categories",
        pytest.param("votes", marks=pytest.mark.slow),
        pytest.param("dimensions", marks=pytest.mark.slow),
    ],
)
def test_a_healthy_training_passes_and_says_what_was_observed(run, quick, task, toy_ravdess, caplog, tmp_path):
    caplog.set_level(logging.INFO, "ser_hf")
    with pytest.raises(quick):
        run(task=task, data=DataArguments(["ravdess"], [str(toy_ravdess)]) if task == "categories" else None)
    count = 24 if task == "categories" else 32
    first, last = map(
        float, re.search(rf"loss ([0-9.]+) to ([0-9.]+) on {count} utterances in 50 passes", caplog.text).groups()
    )
    assert last < 0.75 * first
    guess = {
        "categories": r"Chance 0\.250 UA, most frequent class 0\.250 WA; [01]\.",
        "votes": r"Chance 0\.167 UA, most frequent class 0\.[12]\d\d WA; 0\.",
        "dimensions": r"Chance: CCC 0; 0\.",
    }
    assert re.search(guess[task], caplog.text)
    assert re.search(r"Trained: 0\.0\d of 0\.0\d M parameters. Memory: [0-9.]+ GB. Estimated time", caplog.text)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_learning_rate_that_is_too_high_is_found(run, tmp_path):
    with pytest.raises(ValueError, match=r"Lower --learning_rate \(now 1\), as it rose to .* Leave out --rehearse"):
        run(learning_rate=1.0)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_learning_rate_that_is_too_low_is_found(run):
    with pytest.raises(ValueError, match=r"Raise --learning_rate \(now 1e-08\), or train more with another --freeze"):
        run(learning_rate=1e-8)


@pytest.mark.slow
def test_a_model_of_which_nothing_is_trained_is_found(run, monkeypatch):
    rehearse = rehearsal.rehearse
    monkeypatch.setattr(
        "ser_hf.workflows.finetune.rehearse",
        lambda model, *others: rehearse(model.requires_grad_(False), *others),
    )
    with pytest.raises(ValueError, match=r"none of [0-9]+ parameters is trained. Choose another --freeze"):
        run()


@pytest.mark.slow
def test_labels_that_belong_to_other_files_are_found(run, synthetic_corpus, tmp_path):
    table = pandas.DataFrame([(row.path, row.emotion, row.speaker) for row in synthetic(synthetic_corpus)])
    table.columns = ["path", "emotion", "speaker"]
    table["emotion"] = np.random.default_rng(5).permutation(table["emotion"])
    table.to_csv(tmp_path / "shuffled.csv", index=False)
    with pytest.raises(ValueError, match="no better than chance .* Check whether the labels belong to these files"):
        run(data=DataArguments(["table"], [str(tmp_path / "shuffled.csv")], allow_outside=True))


def test_silent_audio_is_found_before_the_rehearsal(run, tmp_path):
    for i in range(40):
        path = tmp_path / "silent" / ("sad" if i % 2 else "happy") / f"s{i % 5}_{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(8000), 16_000)
    with pytest.raises(ValueError, match="silen"):
        run(data=DataArguments(["folder"], [str(tmp_path / "silent")], speaker_pattern="^(s[0-9])_"))


def test_a_loss_that_is_no_number_is_found_before_the_first_step(run, toy_ravdess, monkeypatch):
    monkeypatch.setattr(rehearsal, "_mean_loss", lambda trainer, batches: float("nan"))
    monkeypatch.setattr(rehearsal, "_score_classes", lambda rows: None)
    with pytest.raises(ValueError, match="the loss is nan before the first step. Check the weights of the encoder"):
        run(data=DataArguments(["ravdess"], [str(toy_ravdess)]))


@pytest.mark.slow
def test_ratings_that_belong_to_other_files_are_found(run, synthetic_corpus, tmp_path):
    rows = [(row.path, row.emotion, row.speaker, row.arousal, row.valence) for row in synthetic(synthetic_corpus)]
    table = pandas.DataFrame(rows, columns=["path", "emotion", "speaker", "arousal", "valence"])
    order = np.random.default_rng(5).permutation(len(table))
    table[["arousal", "valence"]] = table[["arousal", "valence"]].to_numpy()[order]
    table.to_csv(tmp_path / "shuffled.csv", index=False)
    data = DataArguments(
        ["table"], [str(tmp_path / "shuffled.csv")], allow_outside=True, task="dimensions", rating_scale=[1, 7]
    )
    with pytest.raises(ValueError, match="correlation of a linear regression; 95 % of random labels stay below"):
        run(data=data)
