"""Continued pretraining end to end: `recipes/pretrain.py` on a toy corpus with tiny models, and its hand-over."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from architectures import CONFIGS, feature_extractor
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForPreTraining

from ser_hf import DataArguments, ProbeArguments, probe
from ser_hf.data import audio
from ser_hf.data.decoder import open_audio
from ser_hf.training.pretraining import TemperatureCallback

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "pretrain.py"
TINY = {
    "num_codevectors_per_group": 16, "codevector_dim": 16, "proj_codevector_dim": 16, "num_negatives": 10,
    "layerdrop": 0.1,
}  # fmt: skip


def write_encoder(folder, name, change=lambda model: None):
    """Save a tiny encoder with its quantizer and random weights, after a change."""
    torch.manual_seed(0)
    config = CONFIGS[name]()
    config.update(TINY)
    model = AutoModelForPreTraining.from_config(config)
    with torch.no_grad():
        change(model)
    model.save_pretrained(folder)
    feature_extractor(name).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("wav2vec2"), "wav2vec2-group")


@pytest.fixture(scope="module")
def melodies(tmp_path_factory):
    """A corpus with RAVDESS file names: 6 actors, each file a random sequence of four tones of 0.2 s."""
    root, rng = tmp_path_factory.mktemp("melodies"), np.random.default_rng(0)
    for actor in range(1, 7):
        for emotion in (1, 3, 4, 5):
            for repetition in (1, 2):
                pitch = np.repeat(rng.choice([150, 300, 600, 1200, 2400], 4), 3200)
                waveform = 0.3 * np.sin(2 * np.pi * np.cumsum(pitch) / 16_000) + rng.normal(0, 0.02, len(pitch))
                path = root / f"Actor_{actor:02d}" / f"03-01-{emotion:02d}-01-01-{repetition:02d}-{actor:02d}.wav"
                path.parent.mkdir(exist_ok=True)
                soundfile.write(path, waveform.astype(np.float32), 16_000)
    return root


@pytest.fixture
def pretrain(encoder, melodies, tmp_path):
    """Run the recipe in this process: ``pretrain("--key", "value", …)`` returns the output folder."""
    main = runpy.run_path(str(RECIPE))["main"]

    def run(*argv, start=("--model_name_or_path", str(encoder)), output_dir=tmp_path / "pretrained"):
        main([
            "--corpus", "ravdess", "--data_root", str(melodies), *start,
            "--output_dir", str(output_dir), "--use_cpu", "true", "--num_train_epochs", "1", "--seed", "3",
            "--learning_rate", "0.03", "--per_device_train_batch_size", "4", "--dataloader_num_workers", "0",
            "--mask_time_length", "3", "--disable_tqdm", "true", *argv,
        ])  # fmt: skip
        return output_dir

    return run


def read_record(folder):
    return json.loads((folder / "pretraining.json").read_text())


def test_the_loss_falls_and_the_codebook_stays_in_use(pretrain, capsys):
    record = read_record(pretrain("--num_train_epochs", "8"))
    first, last = record["curve"][0], record["curve"][-1]
    assert first["loss"] > 2.2 and last["loss"] < 1.6  # log(11) = 2.4 is a guess among the target and 10 negatives
    assert first["validation_loss"] > 1.5 and last["validation_loss"] < 1.0
    assert record["codes_per_group"] == 16
    assert all(row["perplexity"] > 3 and row["validation_perplexity"] > 3 for row in record["curve"])
    assert [row["epoch"] for row in record["curve"]] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert record["training"]["architecture"] == "Wav2Vec2ForPreTraining"
    assert record["training"]["hardware"].startswith("CPU") and record["training"]["date"]
    assert "of 16 codes per group" in capsys.readouterr().out


@pytest.mark.slow
def test_it_opens_no_file_of_a_test_speaker_and_finetune_loads_every_weight(
    pretrain, finetune, melodies, tmp_path, monkeypatch
):
    opened = set()

    def record(path):
        opened.add(Path(path).parent.name.removeprefix("Actor_"))
        return open_audio(path)

    monkeypatch.setenv("SER_HF_CACHE", str(tmp_path / "cache"))
    with monkeypatch.context() as patch:
        patch.setattr(audio, "open_audio", record)
        out = pretrain("--split_seed", "2")
    model, loading = AutoModel.from_pretrained(out, output_loading_info=True)
    assert type(model).__name__ == "Wav2Vec2Model"
    assert not loading["missing_keys"] and not loading["unexpected_keys"] and not loading["mismatched_keys"]

    tuned = finetune("--split_seed", "2", "--freeze", "encoder", encoder=out, data_root=melodies)
    weights = load_file(tuned / "model.safetensors")
    for name, value in load_file(out / "model.safetensors").items():
        assert name == "masked_spec_embed" or weights[f"wav2vec2.{name}"].equal(value), name
    split = json.loads((tuned / "all_results.json").read_text())["split"]
    heard = {*split["train"]["speakers"], *split["validation"]["speakers"]}
    assert opened == heard and not heard & set(split["test"]["speakers"])
    assert {speaker for _, speaker in read_record(out)["speakers"]} == heard


@pytest.mark.slow
def test_an_encoder_that_was_pretrained_on_test_speakers_is_refused(pretrain, finetune, melodies, tmp_path):
    out = pretrain("--protocol", "group_kfold", "--folds", "3", "--fold", "1")
    with pytest.raises(ValueError, match=r"was pretrained on 2 of the 2 test speakers \(first: ravdess/0.\)"):
        finetune("--protocol", "group_kfold", "--folds", "3", "--fold", "2", encoder=out, data_root=melodies)
    data = DataArguments(["ravdess"], [str(melodies)], protocol="group_kfold", folds=3, fold=2)
    options = ProbeArguments(str(tmp_path / "probe"), features=["embedding"], model_name_or_path=str(out))
    with pytest.raises(ValueError, match="was pretrained on 2 of the 2 test speakers"):
        probe(data, options)


@pytest.mark.slow
def test_a_killed_run_resumes_and_ends_like_an_undisturbed_one(pretrain, tmp_path, monkeypatch):
    argv = ("--num_train_epochs", "3", "--noise_snr", "20")
    whole = pretrain(*argv, output_dir=tmp_path / "whole")
    begin_step = TemperatureCallback.on_step_begin

    def interrupt(self, args, state, *rest, **kwargs):
        if state.global_step == 14:  # of 18, six in each epoch
            raise KeyboardInterrupt
        return begin_step(self, args, state, *rest, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(TemperatureCallback, "on_step_begin", interrupt)
        with pytest.raises(KeyboardInterrupt):
            pretrain(*argv, output_dir=tmp_path / "cut")
    assert not (tmp_path / "cut" / "pretraining.json").exists()
    cut = pretrain(*argv, output_dir=tmp_path / "cut")
    assert read_record(cut)["training"]["resumed"] is True
    assert read_record(cut)["curve"] == read_record(whole)["curve"]
    one, other = (load_file(folder / "model.safetensors") for folder in (whole, cut))
    assert one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)


@pytest.mark.slow
def test_a_finished_run_says_so_more_epochs_continue_it_and_another_recipe_is_refused(pretrain, caplog):
    out = pretrain()
    before = (out / "pretraining.json").stat().st_mtime_ns
    pretrain()
    assert "This recipe is finished" in caplog.text
    assert (out / "pretraining.json").stat().st_mtime_ns == before
    pretrain("--num_train_epochs", "2")
    assert [row["epoch"] for row in read_record(out)["curve"]] == [1, 2]
    with pytest.raises(FileExistsError, match="run of another recipe .*mask_time_prob"):
        pretrain("--mask_time_prob", "0.5")
    recipe = (out / "recipe.yaml").read_text()
    assert "ser-hf pretrain recipe.yaml" in recipe and "mask_time_prob: 0.65" in recipe


@pytest.mark.slow
def test_utterances_without_a_label_are_used_if_their_speaker_is_in_one_part_only(pretrain, tmp_path):
    assert read_record(pretrain())["utterances"] == {"train": 24, "validation": 8}
    out = pretrain("--label_map", "sad=", output_dir=tmp_path / "fewer_labels")
    assert read_record(out)["utterances"] == {"train": 24, "validation": 8}
    out = pretrain("--label_map", "sad=", "--split", "random", output_dir=tmp_path / "random")
    assert sum(read_record(out)["utterances"].values()) < 36


@pytest.mark.slow
def test_the_conformer_has_the_same_objective(pretrain, tmp_path):
    folder = write_encoder(tmp_path / "conformer", "wav2vec2-conformer")
    record = read_record(pretrain("--model_name_or_path", str(folder)))
    assert record["training"]["architecture"] == "Wav2Vec2ConformerForPreTraining"


@pytest.mark.slow
def test_an_encoder_without_its_quantizer_starts_with_a_random_one(pretrain, encoder, tmp_path, caplog):
    AutoModel.from_pretrained(encoder).save_pretrained(tmp_path / "bare")
    pretrain("--model_name_or_path", str(tmp_path / "bare"))
    assert "quantizer adjusted from None to random weights" in caplog.text


def collapse(model):
    model.quantizer.weight_proj.weight.zero_()
    model.quantizer.weight_proj.bias.zero_()
    model.quantizer.weight_proj.bias[[0, 16]] = 30.0  # one code of each group


def test_a_collapsed_codebook_stops_with_one_sentence(pretrain, tmp_path):
    folder = write_encoder(tmp_path / "collapsed", "wav2vec2-group", collapse)
    with pytest.raises(ValueError, match="The codebook collapsed: in epoch 1, the validation speakers use 1.00 of 16"):
        pretrain("--model_name_or_path", str(folder), "--learning_rate", "0.00001")


@pytest.mark.parametrize("name", ["hubert", "wavlm", "unispeech", "data2vec-audio", "whisper"])
def test_an_architecture_without_an_objective_is_named_with_those_that_have_one(pretrain, name):
    message = f"no self-supervised objective of '{name}': expected wav2vec2 or wav2vec2-conformer"
    with pytest.raises(ValueError, match=message):
        pretrain(start=("--model_type", name))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--mixup", "0.3"), "mixup: pretraining has no such option"),
        (("--head_learning_rate", "0.1"), "head_learning_rate: pretraining has no such option"),
        (("--refit", "true"), "refit: pretraining has no such option"),
        (("--metric_for_best_model", "ua"), "metric_for_best_model: expected loss, found 'ua'"),
        (("--num_train_epochs", "0"), "num_train_epochs: expected more than 0"),
        (("--mask_time_length", "11"), "mask_time_length: expected 2 to 10, found 11"),
        (("--freeze", "cnn"), "Unknown key 'freeze'"),
        (
            ("--model_name_or_path", "no/such_model"),
            "No folder 'no/such_model' here",
        ),
        (("--learning_rate", "1e9"), "learning_rate: expected 0 to 10"),
    ],
)
def test_a_wrong_recipe_ends_in_one_sentence(pretrain, argv, message):
    with pytest.raises((ValueError, OSError), match=message):
        pretrain(*argv)
