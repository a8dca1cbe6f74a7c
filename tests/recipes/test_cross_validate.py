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
import pandas
import pytest
import yaml

from ser_hf.evaluation import read_predictions, summarize, write_predictions
from ser_hf.evaluation.predictions import COLUMNS
from ser_hf.publishing.card import render_folds_card
from ser_hf.runs.command_line import parse_recipe
from ser_hf.runs.data_records import AudioRecord, Part, SplitRecord
from ser_hf.runs.result_records import Results, TrainingRecord
from ser_hf.runs.results import write_results
from ser_hf.workflows.cross_validate import cross_validate
from ser_hf.workflows.folds import pool_folds

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
    results, table = (
        json.loads((out / "all_results.json").read_text(encoding="utf-8")),
        read_predictions(out / "predictions.csv"),
    )
    assert len(table) == 48 == results["test"]["utterances"]
    assert not table.duplicated(["path"]).any()
    folds = [json.loads((out / f"fold_{fold}" / "all_results.json").read_text(encoding="utf-8")) for fold in (1, 2, 3)]
    scores = [fold["test"]["ua"] for fold in folds]
    assert results["mean"]["ua"] == pytest.approx(np.mean(scores))
    assert results["sd"]["ua"] == pytest.approx(np.std(scores, ddof=1))
    right = table["target"] == table["prediction"]
    assert results["test"]["wa"] == pytest.approx(right.mean())
    card = (out / "README.md").read_text(encoding="utf-8")
    assert f"**{100 * results['test']['ua']:.1f} %**" in card
    assert "was not trained on its speaker" in card
    assert all(f"| {fold} | " in card for fold in (1, 2, 3))
    assert "Fine-tuned from whisper." in card and str(out.parent) not in card
    assert (out / "figures" / "confusion.png").exists()
    agreement = results["agreement"]
    assert {name: agreement[name] for name in ("test", "compared", "agree")} == {
        "test": 48,
        "compared": 48,
        "agree": 48,
    }
    assert "stored scores to 48 of 48 utterances compared." in card


@pytest.mark.slow
def test_probes_are_pooled_too(toy_ravdess, tmp_path):
    argv = ["--corpus", "ravdess", "--data_root", str(toy_ravdess), "--heads", "svm_linear", "--processes", "1",
            "--speaker_normalization", "true"]  # fmt: skip
    folds = ["--protocol", "leave_one_speaker_out", "--output_dir", str(tmp_path / "out")]
    runpy.run_path(str(RECIPE))["main"](["probe", *argv, *folds])
    results = json.loads((tmp_path / "out" / "all_results.json").read_text(encoding="utf-8"))
    assert results["test"]["utterances"] == 48
    assert [fold["speakers"] for fold in results["folds"]] == [[f"{actor:02d}"] for actor in range(1, 7)]
    assert results["recipe"]["speaker_normalization"] is True
    assert "fold" not in results["recipe"]
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "**Normalised by speaker.**" in card and "heads: svm_linear" in card
    assert "| unreadable | too short |" in card and all(fold["audio"]["skipped"] == 0 for fold in results["folds"])
    assert yaml.safe_load((tmp_path / "out" / "recipe.yaml").read_text(encoding="utf-8"))["fold"] is None


def write_fold(folder, paths):
    """What a finished fold leaves, of a corpus that names no speakers."""
    folder.mkdir(parents=True)
    unknown = dict.fromkeys(("start", "end", "speaker", "gender"))
    scores = {"score_happy": 0.25, "score_sad": 0.75}
    row = {"corpus": "folder", "split": "test", "target": "sad", "prediction": "sad"}
    table = pandas.DataFrame([{"path": path} | unknown | row | scores for path in paths])[
        [*COLUMNS, "target", "prediction", *scores]
    ]
    write_predictions(table, folder / "predictions.csv")
    results = Results(
        ["happy", "sad"],
        summarize(table, ["happy", "sad"]),
        split=SplitRecord("toy", False, Part([], len(paths), {})),
        audio=AudioRecord(skipped=3, too_short=1, dropped_emotions={"calm": 7}),
        training=TrainingRecord("CPU", "2026-01-01", seconds=60.0),
    )
    write_results(folder, results)
    recipe = {"corpus": ["folder"], "model_name_or_path": None, "model_type": "mel", "fold": 1}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))


def test_folds_of_unknown_speakers_are_pooled_without_a_figure_of_them(tmp_path):
    folders = [tmp_path / "fold_1", tmp_path / "fold_2"]
    write_fold(folders[0], ["a.wav", "b.wav"])
    write_fold(folders[1], ["c.wav"])
    results = pool_folds(folders, tmp_path, protocol="random_kfold")
    assert results.test.speakers == 0 and results.test.utterances == 3
    assert not (tmp_path / "figures" / "speakers.png").exists()
    card = render_folds_card(results, folders[0])
    assert "unknown speakers" in card and "| 1 | unknown | 2 |" in card and "speakers.png" not in card
    assert "| 1.0 | 3 | 1 |" in card and "calm (7)" in card
    assert "Fine-tuned mel, from random weights." in card


@pytest.mark.parametrize("held", [{"README.md": "mine"}, {"recipe.yaml": "fold: 1", "README.md": "of fold 1"}])
def test_a_folder_with_something_else_in_it_is_left_as_it_is(argv, tmp_path, held):
    for name, text in held.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(Exception, match="--output_dir"):
        runpy.run_path(str(RECIPE))["main"]([*argv, "--output_dir", str(tmp_path)])
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == held


def test_a_fold_that_never_began_leaves_the_folder_free(argv, tmp_path):
    with pytest.raises(Exception, match="nowhere"):
        options = ("--model_name_or_path", str(tmp_path.parent / "nowhere"), "--output_dir", str(tmp_path))
        runpy.run_path(str(RECIPE))["main"]([*argv[:5], *argv[7:], *options])
    assert not list(tmp_path.iterdir())


def test_one_utterance_in_two_folds_ends_in_one_sentence(argv, tmp_path):
    def test_the_same(data, model_args, training):
        write_fold(Path(training.output_dir), ["a.wav"])

    data, *arguments = parse_recipe([*argv[1:], "--output_dir", str(tmp_path / "out")])
    with pytest.raises(ValueError, match="Utterances are tested in two folds"):
        cross_validate(test_the_same, data, *arguments)


def test_help_needs_no_recipe(capsys):
    runpy.run_path(str(RECIPE))["main"](["--help"])
    assert "recipes/cross_validate.py finetune" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda argv: argv[1:], "finetune or probe"),
        (lambda argv: [*argv[:7], *argv[11:]], "Expected a protocol with folds"),
    ],
)
def test_a_command_without_recipe_or_protocol_ends_in_one_sentence(argv, tmp_path, change, message):
    with pytest.raises(Exception, match=message):
        runpy.run_path(str(RECIPE))["main"]([*change(argv), "--output_dir", str(tmp_path / "out")])
