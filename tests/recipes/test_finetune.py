"""The main job end to end: `recipes/finetune.py` on a toy corpus with tiny models."""

import ast
import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from transformers import AutoModelForAudioClassification, pipeline

from ser_hf.evaluation import read_predictions
from ser_hf.models.checkpoint_loading import is_head
from ser_hf.publishing import bare_pipeline
from ser_hf.publishing.agreement import check_agreement
from ser_hf.runs.training_speech import read_training_speech
from ser_hf.serving import EmotionClassifier

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "finetune.py"
EMOTIONS = ["angry", "happy", "neutral", "sad"]
ANSWER = """
import json, sys
import soundfile
from transformers import pipeline
classifier = pipeline("audio-classification", model=sys.argv[1], top_k=None)
waveform, _ = soundfile.read(sys.argv[2], dtype="float32")
answer = classifier(waveform)
assert "ser_hf" not in sys.modules
print(json.dumps(answer))
"""


def launch(*argv):
    command = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", str(RECIPE), *map(str, argv)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_launched_it_leaves_a_scored_folder_that_a_bare_pipeline_loads(tmp_path, toy_ravdess, encoders):
    out = tmp_path / "out"
    config = tmp_path / "recipe.yaml"
    config.write_text(
        f"corpus: ravdess\nmodel_name_or_path: {encoders / 'hubert-group'}\nfreeze: cnn\nlayer_sum: true\n"
        "num_train_epochs: 2\nper_device_train_batch_size: 8\nhead_learning_rate: 0.01\nmask_time_prob: 0.1\n"
        "noise_snr: 10\nmixup: 0.3\nbf16: true\n"
    )
    run = launch(config, "--data_root", toy_ravdess, "--output_dir", out, "--hub_token", "hf_secretOfMine")
    assert run.returncode == 0, run.stderr
    assert not [path for path in out.rglob("*") if path.is_file() and b"secretOfMine" in path.read_bytes()]
    assert "secretOfMine" not in run.stdout + run.stderr
    assert f"The checkpoint is in {out}" in run.stdout
    names = {path.name for path in out.iterdir()}
    assert names >= {
        "README.md", "all_results.json", "audio_problems.csv", "config.json", "figures", "model.safetensors",
        "predictions.csv", "preprocessor_config.json", "recipe.yaml",
    }  # fmt: skip

    results = json.loads((out / "all_results.json").read_text(encoding="utf-8"))
    table = read_predictions(out / "predictions.csv")
    assert set(table["split"]) == {"validation", "test"}
    assert len(table) == results["validation"]["utterances"] + results["test"]["utterances"]
    right = (table["target"] == table["prediction"])[table["split"] == "test"]
    assert results["test"]["wa"] == pytest.approx(right.mean())
    assert all(np.isfinite(value) for value in (results["test"]["ua"], results["validation"]["ua"]))

    agreement = results["agreement"]  # of a training in bfloat16, asked in a fresh process
    assert (agreement["test"], agreement["compared"], agreement["agree"], agreement["error"]) == (16, 16, 16, None)
    assert agreement["largest_difference"] < 1e-5

    row = table[table["split"] == "test"].iloc[0]
    waveform = toy_ravdess / row["path"]
    fresh = subprocess.run(
        [sys.executable, "-c", ANSWER, str(out), str(waveform)], capture_output=True, text=True, cwd=tmp_path
    )
    assert fresh.returncode == 0, fresh.stderr
    scores = {item["label"]: item["score"] for item in json.loads(fresh.stdout)}
    assert sorted(scores) == ["angry", "happy", "neutral", "sad"]
    assert scores == pytest.approx({name: row[f"score_{name}"] for name in scores}, abs=1e-5)

    (snippet,) = re.findall(r"```python\n(.*?)```", (out / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    shutil.copyfile(waveform, tmp_path / "utterance.wav")  # what the snippet on the card reads
    shown = subprocess.run([sys.executable, "-c", snippet], capture_output=True, text=True, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert {item["label"]: item["score"] for item in ast.literal_eval(shown.stdout)} == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize("freeze", ["cnn", *(pytest.param(x, marks=pytest.mark.slow) for x in ("none", "encoder"))])
def test_all_that_is_trained_changes_and_nothing_else(finetune, encoders, freeze):
    out = finetune("--freeze", freeze, "--learning_rate", "0.01", "--class_weights", "none", encoder="hubert-group")
    before = AutoModelForAudioClassification.from_pretrained(encoders / "hubert-group").state_dict()
    for name, value in AutoModelForAudioClassification.from_pretrained(out).state_dict().items():
        frozen = freeze == "encoder" and not is_head(name)
        frozen |= freeze == "cnn" and "feature_extractor" in name
        if is_head(name) or name.endswith("masked_spec_embed"):  # starts anew; used by SpecAugment only
            continue
        assert value.equal(before[name]) is frozen, name


def test_the_pipeline_gives_the_stored_answers_for_every_test_utterance(finetune, toy_ravdess):
    out = finetune()
    table = read_predictions(out / "predictions.csv").query("split == 'test'")
    classifier = pipeline("audio-classification", model=str(out), top_k=None)
    for _, row in table.iterrows():
        waveform, _ = soundfile.read(toy_ravdess / row["path"], dtype="float32")
        scores = {item["label"]: item["score"] for item in classifier(waveform)}
        assert scores == pytest.approx({name: row[f"score_{name}"] for name in scores}, abs=1e-5)


@pytest.mark.slow
def test_a_model_of_balanced_utterances_with_an_adjusted_focal_loss_is_stock(finetune):
    argv = ("--sampling", "balanced", "--class_weights", "effective", "--loss", "focal", "--logit_adjustment", "1")
    results = json.loads((finetune(*argv) / "all_results.json").read_text(encoding="utf-8"))
    assert results["agreement"]["agree"] == results["agreement"]["compared"] == 16


@pytest.mark.slow
def test_a_finished_run_says_so_and_more_epochs_continue_it(finetune, caplog):
    out = finetune("--save_total_limit", "9")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert "This recipe is finished" not in caplog.text
    finetune("--save_total_limit", "9")
    assert "This recipe is finished" in caplog.text
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    finetune("--save_total_limit", "9", "--num_train_epochs", "3")
    results = json.loads((out / "all_results.json").read_text(encoding="utf-8"))
    assert (results["training"]["epochs"], results["training"]["epochs_run"]) == (3, 3)
    steps = sorted(int(path.name.split("-")[1]) for path in out.glob("checkpoint-*"))
    assert steps == [steps[0], 2 * steps[0], 3 * steps[0]]


@pytest.mark.parametrize(
    "averaging",
    [pytest.param((), id="plain"), pytest.param(("--ema_decay", "0.9"), id="averaged", marks=pytest.mark.slow)],
)
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(finetune, tmp_path, averaging):
    argv = ("--num_train_epochs", "2", "--noise_snr", "5", "--mask_time_prob", "0.2", "--save_total_limit", "9")
    argv += averaging
    whole = finetune(*argv, output_dir=tmp_path / "whole")
    cut = finetune(*argv, output_dir=tmp_path / "cut")
    steps = sorted(int(path.name.split("-")[1]) for path in cut.glob("checkpoint-*"))
    assert len(steps) == 2
    for step in steps[1:]:  # as after a kill in epoch 2: its checkpoint and the results are not there
        (cut / f"checkpoint-{step}" / "trainer_state.json").unlink()
    (cut / "all_results.json").unlink()
    finetune(*argv, output_dir=cut)
    one, other = (AutoModelForAudioClassification.from_pretrained(folder).state_dict() for folder in (whole, cut))
    assert all(one[name].equal(other[name]) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--ema_decay", "0.5")])
def test_a_training_that_diverges_ends_in_one_sentence(finetune, monkeypatch, options):
    def step(optimizer, closure=None):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.data.fill_(np.nan)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    with pytest.raises(
        ValueError, match=r"^The training diverged: the loss is not a finite number in epoch [0-9.]+\. L"
    ):
        finetune(*options)


def test_a_folder_of_another_recipe_is_not_overwritten(finetune):
    out = finetune()
    before = (out / "model.safetensors").read_bytes()
    with pytest.raises(Exception, match="contains a run of another recipe .*learning_rate"):
        finetune("--learning_rate", "0.5")
    assert (out / "model.safetensors").read_bytes() == before


def test_a_readout_without_an_epoch_is_a_finished_run(finetune):
    out = finetune("--head_init", "readout", "--head_copies", "1", "--gain", "6", "--num_train_epochs", "0")
    speech = read_training_speech(out / "training_speech.json")
    assert (speech.corpus, speech.utterances, len(speech.embedding.mean)) == (["ravdess"], 32, 20)
    results = json.loads((out / "all_results.json").read_text(encoding="utf-8"))
    assert (results["training"]["epochs_run"], results["training"]["best_epoch"]) == (0, 0)
    assert results["agreement"]["agree"] == 16
    assert "The encoder was not trained" in (out / "README.md").read_text(encoding="utf-8")
    assert not (out / "figures" / "curves.png").exists()


def test_a_start_that_no_epoch_improves_is_kept_and_said(finetune, caplog):
    out = finetune("--head_init", "probe", "--learning_rate", "1", "--num_train_epochs", "2", "--save_total_limit", "1")
    results = json.loads((out / "all_results.json").read_text(encoding="utf-8"))
    assert (results["training"]["epochs_run"], results["training"]["best_epoch"]) == (2, 0)
    assert results["validation"]["ua"] == 1.0 and results["agreement"]["agree"] == 16
    assert "No epoch was better than the start (head_init: probe)" in caplog.text
    assert "2 epochs,\nof which the start was best on the validation speakers and is kept" in (
        out / "README.md"
    ).read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_readout_that_is_trained_on_resumes_from_its_checkpoint(finetune):
    out = finetune("--head_init", "readout")
    (out / "all_results.json").unlink()
    for name in ("model.safetensors", "config.json"):
        (out / name).unlink()
    finetune("--head_init", "readout", "--num_train_epochs", "2")
    assert json.loads((out / "all_results.json").read_text(encoding="utf-8"))["training"]["epochs_run"] == 2


@pytest.mark.slow
def test_a_random_split_is_called_speaker_dependent_in_the_card(finetune):
    out = finetune("--split", "random")
    assert "Speaker-dependent scores" in (out / "README.md").read_text(encoding="utf-8")
    assert json.loads((out / "all_results.json").read_text(encoding="utf-8"))["split"]["speaker_independent"] is False


@pytest.mark.slow
def test_a_folder_without_known_speakers_is_trained_on_a_random_split_if_asked(finetune, tmp_path, write_audio):
    for emotion, frequency in (("angry", 300), ("sad", 150)):
        for i in range(12):
            write_audio(tmp_path / "data" / emotion / f"{i}.wav", frequency=frequency + i)
    with pytest.raises(Exception, match="--speaker_pattern"):
        finetune(corpus="folder", data_root=tmp_path / "data")
    out = finetune("--split", "random", corpus="folder", data_root=tmp_path / "data")  # the first try left nothing
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "Speaker-dependent scores" in card
    assert "speakers.png" not in card
    assert json.loads((out / "all_results.json").read_text(encoding="utf-8"))["test"]["interval_unit"] == "utterance"


@pytest.mark.slow
def test_the_card_says_how_much_of_an_utterance_the_model_takes(finetune):
    card = (finetune() / "README.md").read_text(encoding="utf-8")
    assert "The model uses the first 1 seconds of an utterance; the pipeline truncates longer utterances." in card
    assert "Truncated in the test" not in card


@pytest.mark.slow
def test_test_utterances_beyond_the_context_are_counted_named_on_the_card_and_scored_as_the_pipeline_does(
    finetune, tmp_path, toy_ravdess, write_audio
):
    data = shutil.copytree(toy_ravdess, tmp_path / "data")
    for actor in range(1, 7):  # the encoder takes 2 s
        for seconds, emotion in ((3.0, 1), (2.0, 4)):
            name = f"03-01-{emotion:02d}-01-02-01-{actor:02d}.wav"
            write_audio(data / f"Actor_{actor:02d}" / name, seconds=seconds, frequency=100 * actor)
    out = finetune(data_root=data)
    results = json.loads((out / "all_results.json").read_text(encoding="utf-8"))
    assert results["context"] == {"seconds": 2.0, "longer": {"validation": 1, "test": 2}}
    assert results["audio"]["windowed"] == 0
    card = " ".join((out / "README.md").read_text(encoding="utf-8").split())
    assert "The model uses the first 2 seconds of an utterance; the pipeline truncates longer utterances." in card
    assert "Truncated in the test: 2 of 20 utterances (10.0 %)." in card
    assert "These are the scores of the stock `pipeline`" in card
    assert "gave the stored scores to 20 of 20 test utterances;" in card
    agreement = results["agreement"]
    assert (agreement["test"], agreement["compared"], agreement["agree"], agreement["error"]) == (20, 20, 20, None)
    assert check_agreement(out).passed


@pytest.fixture(scope="module")
def quiet_ravdess(tmp_path_factory, toy_ravdess):
    """The toy corpus with 0.6 s of silence before and after each utterance, and peaks beyond full scale."""
    root = tmp_path_factory.mktemp("quiet")
    silence = np.zeros(9_600, np.float32)
    for path in toy_ravdess.rglob("*.wav"):
        waveform, rate = soundfile.read(path, dtype="float32")
        (root / path.parent.name).mkdir(exist_ok=True)
        whole = np.concatenate([silence, 4 * waveform, silence])
        soundfile.write(root / path.relative_to(toy_ravdess), whole, rate, subtype="FLOAT")
    return root


@pytest.mark.slow
def test_trimmed_training_is_scored_raw_and_the_recommended_trimming_stands_beside(finetune, quiet_ravdess):
    argv = ("--trim", "ends", "--recommended_trim", "ends", "--max_duration", "1.5", "--window_overlap", "0.25")
    out = finetune(*argv, encoder="hubert-group", data_root=quiet_ravdess)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    recommended = {"trim": "ends", "max_duration": 1.5, "window_overlap": 0.25}
    assert config["recommended_preprocessing"] == recommended
    results = json.loads((out / "all_results.json").read_text(encoding="utf-8"))
    assert results["agreement"]["agree"] == results["agreement"]["compared"] == 16
    assert results["context"] == {"seconds": None, "longer": {"validation": 0, "test": 0}}
    stored = results["recommended"]
    assert stored["preprocessing"] == {"trim": "ends", "max_duration": 1.5, "window_overlap": 0.25}
    assert stored["test"]["utterances"] == results["test"]["utterances"] == 16
    for name in ("ua", "wa", "macro_f1"):
        difference = stored["difference"][name]
        assert difference["difference"] == pytest.approx(stored["test"][name] - results["test"][name])
        low, high = difference["interval"]
        assert low <= difference["difference"] <= high

    test = read_predictions(out / "predictions.csv").query("split == 'test'")
    files = [quiet_ravdess / path for path in test["path"]]
    classifier = EmotionClassifier.from_pretrained(out, backend="torch", preprocessing="recommended")
    answers = list(classifier.predict_files(files))
    right = [answer.emotion == target for answer, target in zip(answers, test["target"], strict=True)]
    assert stored["test"]["wa"] == np.mean(right)
    raw = test[[f"score_{name}" for name in EMOTIONS]]
    trimmed = [[answer.scores[name] for name in EMOTIONS] for answer in answers]
    assert np.abs(raw.to_numpy() - trimmed).max() > 1e-3  # the trimming changes what the model is given
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "| test, by ser_hf with recommended preprocessing | " in card
    assert "(trim: ends;\nwindows of 1.5 s for longer audio)" in card


@pytest.mark.slow
def test_without_a_recommended_trimming_nothing_is_recommended(finetune, quiet_ravdess):
    out = finetune("--trim", "ends", encoder="hubert-group", data_root=quiet_ravdess)
    assert "recommended_preprocessing" not in json.loads((out / "config.json").read_text(encoding="utf-8"))
    results = json.loads((out / "all_results.json").read_text(encoding="utf-8"))
    assert "recommended" not in results
    assert results["agreement"]["agree"] == 16
    assert "preprocessing=" not in (out / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_pipeline_that_fails_ends_in_a_run_that_says_so_and_is_not_publishable(
    finetune, fresh_process, tmp_path, monkeypatch, caplog
):
    script = tmp_path / "script.py"
    script.write_text("raise ValueError('no class NoSuchExtractor')")
    monkeypatch.setattr(bare_pipeline, "__file__", str(script))
    out = finetune()
    agreement = json.loads((out / "all_results.json").read_text(encoding="utf-8"))["agreement"]
    assert (agreement["compared"], agreement["agree"], agreement["largest_difference"]) == (16, 0, None)
    assert agreement["error"] == "ValueError: no class NoSuchExtractor"
    assert "Finished, but not publishable: the stock pipeline fails: ValueError: no class" in caplog.text
    assert "**Not confirmed.** The stock pipeline failed on the test files: ValueError: no class" in (
        (out / "README.md").read_text(encoding="utf-8")
    )
    assert not (out / "answers.json").exists()
    check = check_agreement(out)
    assert (check.passed, check.found) == (False, "the stock pipeline fails: ValueError: no class NoSuchExtractor")


def test_bad_files_among_good_ones_are_counted_and_listed(finetune, tmp_path, write_audio):
    for speaker in range(1, 7):
        for emotion, pitch in (("angry", 220), ("sad", 110)):
            write_audio(tmp_path / "data" / emotion / f"s{speaker}_a.wav", frequency=pitch)
            write_audio(tmp_path / "data" / emotion / f"s{speaker}_b.wav", frequency=pitch, seconds=0.06)
            write_audio(tmp_path / "data" / emotion / f"s{speaker}_c.wav", frequency=pitch, seconds=0.03)
        write_audio(tmp_path / "data" / "angry" / f"s{speaker}_long.wav", seconds=5, rate=8_000)
    (tmp_path / "data" / "sad" / "s1_text.wav").write_text("not audio")
    (tmp_path / "data" / "sad" / "s2_empty.wav").touch()
    argv = ("--speaker_pattern", "(s[0-9]+)_", "--max_duration", "2")
    out = finetune(*argv, corpus="folder", data_root=tmp_path / "data")
    audio = json.loads((out / "all_results.json").read_text(encoding="utf-8"))["audio"]
    assert (audio["skipped"], audio["too_short"], audio["windowed"], audio["padded"]) == (2, 12, 3, 6)
    problems = (out / "audio_problems.csv").read_text(encoding="utf-8")
    assert "s1_text.wav" in problems
    assert problems.count("lasts 0.030 s, less than the 0.05 s that encoders need") == 12
    assert "left out as unreadable: 2" in (out / "README.md").read_text(encoding="utf-8").replace("\n", " ")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--corpus", "ravdes"), "Unknown corpus 'ravdes'"),
        (("--data_root", "nowhere"), "'nowhere' is not a folder"),
        (("--corpus", "folder"), r"(?s)speakers .* are unknown.*--speaker_pattern.*--split random"),
        (("--protocol", "emobox"), "who have no utterance in this corpus"),
        (("--label_set", "big6", "--label_map", "angry=x", "happy=y", "sad=z"), "keep none of the 48"),
        (("--model_name_or_path", "no/such_model"), "no/such_model"),
        (("--lerning_rate", "1"), "Did you mean 'learning_rate'"),
        (("--num_train_epochs", "0"), "num_train_epochs: 0 leaves a random head"),
        (("--optim", "adamw_bnb_8bit"), "bitsandbytes"),
        (("--report_to", "wandb"), "wandb"),
        (("--deepspeed", "missing.json"), "deepspeed"),
        (("--num_train_epochs", "-1"), "num_train_epochs: expected 0 to 100000, found -1"),
    ],
)
def test_a_wrong_recipe_ends_in_one_sentence(finetune, argv, message):
    with pytest.raises(Exception, match=message):
        finetune(*argv)


@pytest.mark.parametrize(
    "encoder", ["cnn", pytest.param("crnn", marks=pytest.mark.slow), pytest.param("lstm", marks=pytest.mark.slow)]
)
def test_the_mel_model_is_trained_from_scratch(tmp_path, toy_ravdess, encoder):
    out = tmp_path / "out"
    runpy.run_path(str(RECIPE))["main"]([
        "--corpus", "ravdess", "--data_root", str(toy_ravdess), "--model_type", "mel",
        "--config_overrides", f"encoder={encoder}", "hidden_size=16",
        "--output_dir", str(out), "--use_cpu", "true", "--num_train_epochs", "1", "--dataloader_num_workers", "0",
    ])  # fmt: skip
    classifier = pipeline("audio-classification", model=str(out), trust_remote_code=True)
    assert {answer["label"] for answer in classifier(np.zeros(8_000, np.float32))} == {
        "angry",
        "happy",
        "neutral",
        "sad",
    }
    assert (
        yaml.safe_load((out / "recipe.yaml").read_text(encoding="utf-8"))["config_overrides"][0] == f"encoder={encoder}"
    )
