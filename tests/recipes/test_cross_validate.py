"""Folds around `recipes/finetune.py`: pooled, and after a kill the same as without one."""

import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ser_hf.evaluation import read_predictions

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "cross_validate.py"


@pytest.fixture
def argv(toy_ravdess, encoders):
    """Three folds of the toy corpus."""
    return [
        "finetune", "--corpus", "ravdess", "--data_root", str(toy_ravdess),
        "--model_name_or_path", str(encoders / "whisper"), "--protocol", "group_kfold", "--folds", "3",
        "--num_train_epochs", "1", "--dataloader_num_workers", "0", "--use_cpu", "true",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_killed_cross_validation_ends_as_an_uninterrupted_one(argv, tmp_path):
    argv = [*argv[:-6], "--num_train_epochs", "2", *argv[-4:]]
    subprocess.run([sys.executable, RECIPE, *argv, "--output_dir", tmp_path / "whole"], check=True)
    command = [sys.executable, RECIPE, *argv, "--output_dir", tmp_path / "cut"]
    process = subprocess.Popen(command, start_new_session=True)
    while not list((tmp_path / "cut" / "fold_3").glob("checkpoint-*/trainer_state.json")):
        time.sleep(0.1)
        assert process.poll() is None, "it ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "cut" / "all_results.json").exists()
    subprocess.run(command, check=True)
    tables = [read_predictions(tmp_path / name / "predictions.csv") for name in ("whole", "cut")]
    assert tables[0].equals(tables[1])


def test_folds_are_pooled_with_every_utterance_tested_once(argv, tmp_path, capsys):
    out = tmp_path / "out"
    runpy.run_path(str(RECIPE))["main"]([*argv, "--output_dir", str(out)])
    results, table = json.loads((out / "all_results.json").read_text()), read_predictions(out / "predictions.csv")
    assert len(table) == 48 == results["test"]["utterances"]
    assert not table.duplicated(["path"]).any()
    folds = [json.loads((out / f"fold_{fold}" / "all_results.json").read_text()) for fold in (1, 2, 3)]
    scores = [fold["test"]["ua"] for fold in folds]
    assert results["mean"]["ua"] == pytest.approx(np.mean(scores))
    assert results["sd"]["ua"] == pytest.approx(np.std(scores, ddof=1))
    right = table["target"] == table["prediction"]
    assert results["test"]["wa"] == pytest.approx(right.mean())
    card = (out / "README.md").read_text()
    assert f"**{100 * results['test']['ua']:.1f} %**" in card
    assert "never heard its speaker" in card
    assert all(f"| {fold} | " in card for fold in (1, 2, 3))
    assert (out / "figures" / "confusion.png").exists()


def test_probes_are_pooled_too(toy_ravdess, tmp_path):
    argv = ["--corpus", "ravdess", "--data_root", str(toy_ravdess), "--heads", "svm_linear", "--processes", "1"]
    folds = ["--protocol", "leave_one_speaker_out", "--output_dir", str(tmp_path / "out")]
    runpy.run_path(str(RECIPE))["main"](["probe", *argv, *folds])
    results = json.loads((tmp_path / "out" / "all_results.json").read_text())
    assert results["test"]["utterances"] == 48
    assert [fold["speakers"] for fold in results["folds"]] == [[f"{actor:02d}"] for actor in range(1, 7)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda argv: argv[1:], "finetune or probe"),
        (lambda argv: [*argv[:7], *argv[11:]], "Expected a protocol with folds"),
    ],
)
def test_a_command_without_recipe_or_protocol_ends_in_one_sentence(argv, tmp_path, change, message):
    with pytest.raises(SystemExit, match=message):
        runpy.run_path(str(RECIPE))["main"]([*change(argv), "--output_dir", str(tmp_path / "out")])
