"""Heads on frozen features, end to end: `recipes/probe.py` on a toy corpus."""

import dataclasses
import json
import runpy
import shutil
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pandas
import pytest
import soundfile
from datasets import Dataset
from publishing.hub_server import TOKEN, serve

from ser_hf.evaluation import read_predictions
from ser_hf.heads.features import classical_features, load_egemaps
from ser_hf.heads.head_files import load_head
from ser_hf.publishing.gate import run_gate
from ser_hf.publishing.upload import collect_files
from ser_hf.serving import EmotionClassifier
from ser_hf.workflows import probe as workflow

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "probe.py"
HEADS = ("svm_linear", "logistic_regression")


@pytest.fixture
def probe(tmp_path, toy_ravdess):
    """Run the recipe in this process: ``probe("--key", "value", …)`` returns the output folder."""
    main = runpy.run_path(str(RECIPE))["main"]

    def run(*argv):
        main([
            "--corpus", "ravdess", "--data_root", str(toy_ravdess), "--output_dir", str(tmp_path / "out"),
            "--heads", *HEADS, "--processes", "1", *argv,
        ])  # fmt: skip
        return tmp_path / "out"

    return run


def results_of(out):
    return json.loads((out / "all_results.json").read_text())


def test_all_heads_are_told_and_the_one_that_training_speakers_choose_is_kept(probe, toy_ravdess):
    out = probe()
    results = results_of(out)
    assert [(row["features"], row["head"]) for row in results["candidates"]] == [("classical", name) for name in HEADS]
    (chosen,) = (row for row in results["candidates"] if row["chosen"])
    assert chosen["inner_score"] == max(row["inner_score"] for row in results["candidates"])
    assert results["test"]["ua"] == chosen["scores"]["ua"] > 0.8  # the pitch tells the emotion
    card = (out / "README.md").read_text()
    assert f"**{chosen['head']}**" in card and all(name in card for name in HEADS)

    head, description = load_head(out)
    row = read_predictions(out / "predictions.csv").query("split == 'test'").iloc[0]
    waveform, _ = soundfile.read(toy_ravdess / row["path"], dtype="float32")
    scores = head.predict_proba(classical_features(waveform).to_numpy()[None])[0]
    stored = row[[f"score_{name}" for name in description["emotions"]]].to_numpy(float)
    np.testing.assert_allclose(scores, stored, atol=1e-4)


def test_training_speakers_are_scored_by_heads_that_did_not_hear_them(probe):
    out = probe()
    table = read_predictions(out / "predictions.csv")
    results = results_of(out)
    speakers = {part: set(rows["speaker"]) for part, rows in table.groupby("split")}
    assert not speakers["validation"] & speakers["test"]
    assert len(table) == 48
    heard = table.query("split == 'validation'")
    assert (heard["target"] == heard["prediction"]).mean() == pytest.approx(results["validation"]["wa"])


def test_the_layer_of_an_encoder_is_chosen_and_all_are_tried(probe, encoders):
    out = probe("--features", "embedding", "--model_name_or_path", str(encoders / "whisper"))
    names = {row["features"] for row in results_of(out)["candidates"]}
    assert "all layers" in names and len(names) == 2
    features = json.loads((out / "head.json").read_text())["features"]
    assert features["kind"] == "embedding" and features["layers"]


@pytest.mark.slow
def test_a_probe_of_a_local_encoder_is_published_without_its_path(probe, encoders, tmp_path, capfd, caplog):
    shutil.copytree(encoders / "whisper", tmp_path / "my encoder")
    out = probe("--features", "embedding", "--model_name_or_path", str(tmp_path / "my encoder"), "--layers", "all")
    assert json.loads((out / "head.json").read_text())["features"]["model_name_or_path"] == "../my encoder"
    assert all(check.passed for check in run_gate(out))
    published = json.loads(collect_files(out, "someone/probe")["head.json"])
    assert published["features"]["model_name_or_path"] == "my encoder"
    assert EmotionClassifier.from_pretrained(out).backend == "probe"
    assert "LOAD REPORT" not in "".join(capfd.readouterr()) + caplog.text

    (out / "head.json").write_text(json.dumps(published))  # as it is downloaded
    with pytest.raises(FileNotFoundError, match="needs its encoder 'my encoder'.*Copy the folder of the encoder to"):
        EmotionClassifier.from_pretrained(out)
    shutil.copytree(tmp_path / "my encoder", out / "my encoder")
    assert EmotionClassifier.from_pretrained(out).backend == "probe"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--features", "embedding", "--model_name_or_path", "no/encoder"), "No folder 'no/encoder' here"),
        (("--features", "embedding", "--model_name_or_path", "./encoder"), "No folder 'encoder' here"),
        (("--features", "classical", "egemaps"), "eGeMAPS features need opensmile"),
    ],
)
def test_what_the_features_need_is_looked_for_before_audio_is_read(probe, tmp_path, monkeypatch, argv, message):
    monkeypatch.setattr(workflow, "load_speech", None)
    monkeypatch.setitem(sys.modules, "opensmile", None)
    load_egemaps.cache_clear()
    with pytest.raises((OSError, ImportError), match=message):
        probe(*argv)
    assert not (tmp_path / "out").exists()


def test_training_speakers_choose_the_head_even_where_another_tests_better(tmp_path, toy_ravdess, monkeypatch):
    main = runpy.run_path(str(RECIPE))["main"]
    compare = workflow.compare_heads

    def flatter_the_first(*arguments, **options):
        worse, better = compare(*arguments, **options)
        features = dataclasses.replace(worse.features, test=worse.features.test[::-1])
        yield dataclasses.replace(worse, features=features, inner=dataclasses.replace(worse.inner, score=0.9))
        yield dataclasses.replace(better, inner=dataclasses.replace(better.inner, score=0.8))

    monkeypatch.setattr(workflow, "compare_heads", flatter_the_first)
    main([
        "--corpus", "ravdess", "--data_root", str(toy_ravdess), "--output_dir", str(tmp_path / "out"),
        "--heads", *HEADS, "--processes", "1",
    ])  # fmt: skip
    first, second = results_of(tmp_path / "out")["candidates"]
    assert first["scores"]["ua"] < second["scores"]["ua"]
    assert (first["chosen"], second["chosen"]) == (True, False)


def test_every_training_row_draws_augmentation_of_its_own():
    rows = {"split": ["train"] * 3 + ["validation"] * 2, "utterance": [0, 0, 1, 0, 1], "index": [0, 1, 2, 0, 1]}
    numbered = workflow.number_rows(Dataset.from_dict(rows))
    assert numbered["index"][:] == [0, 1, 2, 3, 4]
    assert numbered["utterance"][:] == [0, 0, 1, 2, 3]


def test_a_corpus_without_speakers_gets_its_evidence(probe, write_audio, tmp_path):
    for i in range(24):
        emotion = ("happy", "sad")[i % 2]
        write_audio(tmp_path / "data" / emotion / f"{i}.wav", frequency=200 + 300 * (i % 2) + i)
    (tmp_path / "data" / "sad" / "broken.wav").write_bytes(b"RIFF")
    out = probe("--corpus", "folder", "--data_root", str(tmp_path / "data"), "--split", "random")
    assert results_of(out)["test"]["ua"] == 1.0
    assert not (out / "figures" / "speakers.png").exists()
    card = (out / "README.md").read_text()
    assert "On speakers that are not named in the corpus" in card and "speakers.png" not in card
    assert "left out as unreadable: 1, as too short: 0" in card


@pytest.mark.slow
def test_augmented_copies_are_of_training_utterances_only(probe):
    out = probe("--augmented_copies", "2", "--noise_snr", "10", "--augment_probability", "1")
    table = read_predictions(out / "predictions.csv")
    assert len(table) == 48
    vectors = pandas.read_parquet(out / "vectors" / "classical.parquet")
    assert len(vectors) == 48
    assert np.stack(vectors["vector"]).shape == (48, 626)
    assert set(vectors["path"]) == set(table["path"])


def test_normalisation_and_trimming_are_told_on_the_card_and_with_the_head(probe):
    out = probe("--speaker_normalization", "true", "--trim", "ends")
    assert json.loads((out / "head.json").read_text())["features"]["trim"] == "ends"
    assert "**Normalised by speaker.**" in (out / "README.md").read_text()
    assert json.loads((out / "head.json").read_text())["features"]["speaker_normalization"] is True


@pytest.mark.slow
def test_a_random_split_says_why_it_is_higher(probe):
    out = probe("--protocol", "random_kfold")
    assert "**Speaker-dependent scores.**" in (out / "README.md").read_text()


def test_a_finished_run_changes_nothing_and_another_recipe_is_refused(probe, caplog):
    out = probe()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    probe("--processes", "2")  # no other recipe
    assert "This recipe is finished" in caplog.text
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    with pytest.raises(Exception, match="another recipe"):
        probe("--seed", "1")


def test_very_short_files_have_finite_features_and_silent_ones_are_skipped(probe, toy_ravdess, tmp_path):
    tone = 0.3 * np.sin(0.2 * np.arange(8_000))
    for i, samples in enumerate((tone, tone[::-1], tone[:800], tone[:2], np.zeros(8_000))):
        folder = tmp_path / "data" / ("sad" if i else "happy")
        folder.mkdir(parents=True, exist_ok=True)
        for speaker in range(6):
            soundfile.write(folder / f"s{speaker}_{i}.wav", samples, 16_000)
    argv = ("--corpus", "folder", "--data_root", str(tmp_path / "data"), "--speaker_pattern", "s([0-9])_")
    out = probe(*argv, "--allow_missing", "true")
    assert np.isfinite(results_of(out)["test"]["ua"])
    assert pandas.read_csv(out / "audio_problems.csv")["action"].value_counts().to_dict() == {
        "padded": 6,
        "skipped": 6,
        "too short": 6,
    }


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--features", "mfcc"), "expected some of"),
        (("--features", "embedding"), "model_name_or_path: expected with --features embedding"),
        (("--heads", "svm"), "expected some of"),
        (("--task", "votes"), "task: expected one of .* for a probe, found 'votes'. Use finetune"),
        (
            ("--task", "dimensions"),
            r"heads: expected some of \['ridge', .* found .*logistic",
        ),
        (("--augmented_copies", "2"), "augmented_copies: expected with a change"),
        (("--noise_snr", "10"), "augmented_copies: expected with a change"),
        (("--augmented_copies=-1", "--noise_snr", "10"), "augmented_copies: expected 0 or more, found -1"),
    ],
)
def test_a_wrong_recipe_ends_in_one_sentence(probe, argv, message):
    with pytest.raises(Exception, match=message):
        probe(*argv)


def test_a_probe_is_published_where_that_is_asked(probe, tmp_path, caplog, monkeypatch):
    out = probe()
    with serve() as hub:
        for key, value in {"ENDPOINT": hub.url, "HF_HUB_OFFLINE": False, "HF_HUB_DISABLE_XET": True}.items():
            monkeypatch.setattr(huggingface_hub.constants, key, value)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        probe("--push_to_hub", "true", "--hub_model_id", "someone/probe")  # is finished, and goes
        held = hub.repositories["someone/probe"].files
        assert f"{hub.url}/someone/probe/commit/" in caplog.text
    assert held["head.skops"] == (out / "head.skops").read_bytes()
    assert "predictions.csv" not in held


def test_a_push_without_a_repository_is_refused_before_the_work(probe, tmp_path):
    with pytest.raises(Exception, match="push_to_hub: expected with --hub_model_id USER/NAME"):
        probe("--push_to_hub", "true")
    assert not (tmp_path / "out").exists()
