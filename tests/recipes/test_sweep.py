"""The search of settings: `recipes/sweep.py` on a toy corpus with a tiny model."""

import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pandas
import pytest
import yaml
from optuna.trial import TrialState

from ser_hf.runs.training_arguments import SerTrainingArguments
from ser_hf.training.search import COMPLETE, RUNNING, connect
from ser_hf.training.trainer import SerTrainer

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
OUTPUTS = {"recipe.yaml", "sweep.db", "sweep.lock", "sweep.png", "trials.csv"}


def arguments(output_dir, data_root, encoder):
    return [
        "--corpus", "ravdess", "--data_root", str(data_root), "--model_name_or_path", str(encoder),
        "--output_dir", str(output_dir), "--num_train_epochs", "2", "--per_device_train_batch_size", "8",
        "--learning_rate", "0.001", "--use_cpu", "true", "--dataloader_num_workers", "0",
    ]  # fmt: skip


@pytest.fixture
def sweep(tmp_path, toy_ravdess, encoders):
    """Run the recipe in this process: ``sweep("--key", "value", …)`` returns the output folder."""
    main = runpy.run_path(str(RECIPES / "sweep.py"))["main"]

    def run(*argv, output_dir=tmp_path / "sweep"):
        main([*arguments(output_dir, toy_ravdess, encoders / "whisper"), *argv])
        return output_dir

    return run


@pytest.fixture
def heard(monkeypatch):
    """Collect the split and the loss of every evaluation."""
    collected = []
    evaluate = SerTrainer.evaluation_loop

    def listen(trainer, dataloader, *args, **kwargs):
        output = evaluate(trainer, dataloader, *args, **kwargs)
        collected.append((*set(dataloader.dataset["split"]), output.metrics[f"{kwargs['metric_key_prefix']}_loss"]))
        return output

    monkeypatch.setattr(SerTrainer, "evaluation_loop", listen)
    return collected


def open_study(folder):
    return optuna.create_study(direction="maximize", **connect(folder))


@pytest.mark.slow
def test_a_sweep_scores_validation_only_and_its_recipe_fine_tunes_to_the_same_losses(
    sweep, heard, tmp_path, toy_ravdess, capsys
):
    folder = sweep(
        "--trials", "2", "--search", "learning_rate", "noise_snr",
        "--noise_snr", "10", "--head_init", "probe", "--mixup", "0.4", "--trim", "ends", "--max_duration", "1",
    )  # fmt: skip
    table = pandas.read_csv(folder / "trials.csv")
    assert {path.name for path in folder.iterdir()} == OUTPUTS  # no weights
    assert [split for split, _ in heard] == 4 * ["validation"]
    assert table[["trial", "recipe", "learning_rate", "noise_snr"]].values[0].tolist() == [0, True, 0.001, 10]
    assert 0.0001 <= table["learning_rate"][1] <= 0.01
    best = table.loc[table["ua"].idxmax()]
    printed = capsys.readouterr().out
    assert re.search(rf"\n +{best['trial']} +{best['ua']:.4g} +", printed)

    losses = [loss for _, loss in heard][2 * best["trial"] : 2 * best["trial"] + 2]
    heard.clear()
    runpy.run_path(str(RECIPES / "finetune.py"))["main"]([
        str(folder / "recipe.yaml"), "--data_root", str(toy_ravdess), "--output_dir", str(tmp_path / "best"),
        "--use_cpu", "true", "--dataloader_num_workers", "0",
    ])  # fmt: skip
    assert [loss for _, loss in heard[:2]] == losses
    results = json.loads((tmp_path / "best" / "all_results.json").read_text())
    assert results["validation"]["ua"] == pytest.approx(best["ua"])


@pytest.mark.slow
def test_run_again_a_sweep_keeps_its_finished_trials_fails_the_killed_and_goes_on(sweep, caplog):
    argv = ("--search", "learning_rate", "--num_train_epochs", "1")
    folder = sweep(*argv, "--trials", "1")
    first = pandas.read_csv(folder / "trials.csv")
    study = open_study(folder)
    study.ask()  # by a process that was killed at once
    study.ask().set_user_attr("lock", "process_killed.lock")
    sweep(*argv, "--trials", "2")
    table = pandas.read_csv(folder / "trials.csv")
    pandas.testing.assert_frame_equal(table[:1], first)
    assert table["trial"].tolist() == [0, 1]
    assert [trial.state.name for trial in study.get_trials()] == ["COMPLETE", "FAIL", "FAIL", "COMPLETE"]
    assert {path.name for path in folder.iterdir()} == OUTPUTS
    caplog.clear()
    sweep(*argv, "--trials", "2")
    assert "trials finished" not in caplog.text  # nothing is trained any more
    assert len(study.get_trials()) == 4


def test_what_cannot_be_searched_is_refused_with_a_way_out(sweep, tmp_path, monkeypatch):
    with pytest.raises(
        (ValueError, OSError, ImportError), match="search: expected some of .*'learning_rate'.* found .*'dropout'"
    ):
        sweep("--search", "dropout")
    with pytest.raises(Exception, match="trials: expected at least 1"):
        sweep("--trials", "0")
    with pytest.raises(Exception, match="nowhere"):
        sweep("--data_root", "nowhere")  # the search is begun
    with pytest.raises(
        (ValueError, OSError, ImportError), match="of another recipe .learning_rate: 0.001 there, 0.5 here"
    ):
        sweep("--learning_rate", "0.5")
    with pytest.raises(
        (ValueError, OSError, ImportError), match="of another recipe .search: .*Pass another --output_dir"
    ):
        sweep("--search", "learning_rate")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(Exception, match="is not empty and contains no search"):
        sweep(output_dir=tmp_path / "mine")
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {"notes.txt"}
    monkeypatch.setattr(SerTrainingArguments, "world_size", 2)
    with pytest.raises(Exception, match="one process with one GPU.*CUDA_VISIBLE_DEVICES=0 ser-hf sweep"):
        sweep()


@pytest.mark.slow
def test_two_processes_share_a_sweep_that_goes_on_after_a_kill(tmp_path, toy_ravdess, encoders):
    folder, log = tmp_path / "sweep", (tmp_path / "log").open("w+")

    def launch(trials):
        launcher = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1"]
        argv = [*arguments(folder, toy_ravdess, encoders / "whisper"), "--search", "learning_rate", "pitch"]
        command = [*launcher, str(RECIPES / "sweep.py"), *argv, "--trials", str(trials)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True)

    def numbers(*states):
        return {trial.number: trial.value for trial in study.get_trials(states=states)}

    processes = [launch(100), launch(100)]
    deadline = time.monotonic() + 200
    while not (folder / "trials.csv").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    study = open_study(folder)
    while len(numbers(COMPLETE)) < 3 or len(numbers(RUNNING)) < 2:
        assert time.monotonic() < deadline and all(process.poll() is None for process in processes)
        time.sleep(0.02)
    for process in processes:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    finished, cut = numbers(COMPLETE), numbers(RUNNING)
    assert cut, "killed too late to prove anything"

    wanted = len(finished) + 4
    for process in [launch(wanted), launch(wanted)]:
        assert process.wait(timeout=200) == 0, (tmp_path / "log").read_text()[-3000:]
    trials = study.get_trials()
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert len(numbers(COMPLETE)) == wanted and set(numbers(TrialState.FAIL)) == set(cut)
    assert finished.items() <= numbers(COMPLETE).items()
    assert len({trial.user_attrs["lock"] for trial in trials if trial.state == COMPLETE}) >= 3  # of four processes
    table = pandas.read_csv(folder / "trials.csv")
    assert len(table) == wanted
    best = yaml.safe_load((folder / "recipe.yaml").read_text())
    assert best["learning_rate"] == table["learning_rate"][table["ua"].idxmax()]
    assert {path.name for path in folder.iterdir()} == OUTPUTS
