"""The second training, on training and validation speakers together, end to end on a toy corpus."""

import json

import pytest
from transformers import AutoModelForAudioClassification

from ser_hf.evaluation import read_predictions
from ser_hf.training import refit
from ser_hf.training.trainer import SerTrainer


@pytest.fixture
def trained(monkeypatch):
    """Record the folder, the utterances and the epochs of each training."""
    runs, train = [], SerTrainer.train

    def record(trainer, **options):
        result = train(trainer, **options)
        runs.append((trainer.args.output_dir, len(trainer.train_dataset), trainer.state.epoch))
        return result

    monkeypatch.setattr(SerTrainer, "train", record)
    return runs


def weights_of(folder):
    return AutoModelForAudioClassification.from_pretrained(folder).state_dict()


def test_a_readout_is_fitted_anew_with_the_validation_speakers(finetune, tmp_path):
    options = ("--head_init", "readout", "--num_train_epochs", "0")
    first = finetune(*options, output_dir=tmp_path / "first")
    second = finetune(*options, "--refit", "true", output_dir=tmp_path / "second")
    before, after = (read_predictions(folder / "predictions.csv").set_index("split") for folder in (first, second))
    assert before.loc["validation"].equals(after.loc["validation"])
    assert not before.loc["test"].equals(after.loc["test"])
    configs = [json.loads((folder / "config.json").read_text(encoding="utf-8")) for folder in (first, second)]
    assert configs[0] == configs[1]  # temperature and threshold too
    results = json.loads((second / "all_results.json").read_text(encoding="utf-8"))
    assert results["training"]["refit"] is True and results["agreement"]["agree"] == 16
    card = " ".join((second / "README.md").read_text(encoding="utf-8").split())
    assert "trained again from the start on training and validation speakers together" in card
    assert "| validation, before the refit |" in card


@pytest.mark.slow
def test_the_second_training_stops_after_the_best_epoch_of_the_first(finetune, trained, monkeypatch):
    monkeypatch.setattr(refit, "best_evaluation", lambda trainer: {"epoch": 1.0})
    out = finetune("--num_train_epochs", "2", "--refit", "true", "--early_stopping_patience", "2")
    again = str(out / "refit" / "1_of_2")
    assert trained == [(str(out), 24, 2.0), (again, 32, 1.0)]  # of 6 speakers, 8 utterances each
    assert not (out / "refit").exists()


@pytest.mark.slow
def test_an_interrupted_second_training_goes_on_from_its_checkpoint(finetune, monkeypatch, tmp_path):
    options = ("--num_train_epochs", "2", "--refit", "true", "--ema_decay", "0.5")
    monkeypatch.setattr(refit, "best_evaluation", lambda trainer: {"epoch": 2.0})
    whole = finetune(*options, output_dir=tmp_path / "whole")

    class Interrupted(refit.StopAfter):
        def on_epoch_begin(self, args, state, control, **kwargs):
            if state.epoch >= 1:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(refit, "StopAfter", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            finetune(*options, output_dir=tmp_path / "cut")
    assert list((tmp_path / "cut" / "refit" / "2_of_2").iterdir())
    one, other = weights_of(whole), weights_of(finetune(*options, output_dir=tmp_path / "cut"))
    assert all(one[name].equal(other[name]) for name in one)


@pytest.mark.slow
def test_a_training_that_had_stopped_is_not_continued_after_an_interruption(finetune, trained, monkeypatch, tmp_path):
    options = ("--num_train_epochs", "4", "--refit", "true", "--early_stopping_patience", "1", "--learning_rate", "0")
    whole = finetune(*options, output_dir=tmp_path / "whole")
    ends = [epoch for _, _, epoch in trained]
    assert ends == [2.0, 1.0]  # with learning rate 0 the second epoch is not better than the first
    with monkeypatch.context() as patch:
        patch.setattr(refit, "fold_temperature", interrupt)  # called after the second training
        with pytest.raises(KeyboardInterrupt):
            finetune(*options, output_dir=tmp_path / "cut")
    again = finetune(*options, output_dir=tmp_path / "cut")
    assert [epoch for _, _, epoch in trained] == ends * 3
    one, other = weights_of(whole), weights_of(again)
    assert all(one[name].equal(other[name]) for name in one)


def interrupt(*arguments, **options):
    raise KeyboardInterrupt
