from types import SimpleNamespace

import pytest
import torch
from architectures import feature_extractor, tiny_model
from datasets import DatasetDict
from transformers import set_seed
from transformers.trainer_utils import IntervalStrategy

from ser_hf.corpora import load_corpus
from ser_hf.data import Collator, build_dataset, prepare_audio
from ser_hf.models.backbone import freeze_parameters
from ser_hf.models.frozen import find_frozen_part
from ser_hf.models.padding import make_padding_aware
from ser_hf.runs.training_arguments import SerTrainingArguments
from ser_hf.training.frozen_states import FrozenStates
from ser_hf.training.trainer import SerTrainer

EPOCHS = 3


@pytest.fixture(scope="module")
def rows(toy_ravdess):
    """Twenty-four training utterances, and a validation part."""
    utterances = list(load_corpus("ravdess", toy_ravdess))
    split, _ = prepare_audio({"train": utterances[:24], "validation": utterances[24:32]}, raw=("validation",))
    return build_dataset(split, {"ravdess": toy_ravdess}, raw=("validation",))


@pytest.fixture
def fresh_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SER_HF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "frozen"


def make_trainer(rows: DatasetDict, folder, *, name="wav2vec2-group", freeze="cnn", cache_frozen=True, **options):
    """Return the trainer of a tiny model without dropout, whose batches are the same in each run."""
    model = tiny_model(name)
    model.config.update({"apply_spec_augment": False, "layerdrop": 0.0})
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    freeze_parameters(model, freeze)
    make_padding_aware(model)
    arguments = SerTrainingArguments(
        str(folder), num_train_epochs=EPOCHS, per_device_train_batch_size=8, learning_rate=1e-4, report_to="none",
        cache_frozen=cache_frozen, dataloader_num_workers=0, **options,
    )  # fmt: skip
    arguments.eval_strategy = arguments.save_strategy = IntervalStrategy.NO
    arguments.load_best_model_at_end, arguments.logging_steps = False, 1
    arguments.logging_strategy = IntervalStrategy.STEPS
    extractor = feature_extractor(name)
    return SerTrainer(model, arguments, Collator(extractor), dataset=rows, feature_extractor=extractor)


def train(trainer):
    set_seed(0)
    trainer.train()
    return [log["loss"] for log in trainer.state.log_history if "loss" in log]


@pytest.mark.parametrize(
    ("name", "freeze"),
    [
        ("wav2vec2-group", "cnn"),
        ("wav2vec2-group", "1"),
        ("wavlm-layer", "1"),
        ("hubert-group", "encoder"),
        ("whisper", "1"),
    ],
)
def test_the_loss_curve_is_the_same_with_and_without_stored_outputs(rows, tmp_path, fresh_cache, name, freeze):
    plain = train(make_trainer(rows, tmp_path / "plain", name=name, freeze=freeze, cache_frozen=False))
    assert not fresh_cache.exists()
    stored = train(make_trainer(rows, tmp_path / "stored", name=name, freeze=freeze))
    assert len(list(fresh_cache.rglob("*.npy"))) == 24
    assert len(plain) == EPOCHS * 3
    assert plain[0] != pytest.approx(plain[-1], abs=0.01)
    assert stored == pytest.approx(plain, rel=0.01)


def test_the_frozen_part_runs_once_for_each_utterance_of_all_trainings(rows, tmp_path, fresh_cache):
    counts = []
    for run in ("one", "other"):
        trainer = make_trainer(rows, tmp_path / run)
        seen = []
        first = trainer.model.wav2vec2.feature_extractor.conv_layers[0]
        first.register_forward_hook(lambda module, args, output, seen=seen: seen.append(len(output)))
        train(trainer)
        counts.append(sum(seen))
        assert trainer.data_collator.load_states is None
    assert counts == [24, 0]


def test_a_damaged_file_is_computed_again(rows, tmp_path, fresh_cache):
    expected = train(make_trainer(rows, tmp_path / "one"))
    damaged = min(fresh_cache.rglob("*.npy"))
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-8])
    assert train(make_trainer(rows, tmp_path / "other")) == pytest.approx(expected, abs=0.01)
    assert len(damaged.read_bytes()) == len(content)


@pytest.mark.parametrize("changed", ["weights", "layers", "precision", "settings"])
def test_other_weights_or_settings_have_other_files(changed):
    model = tiny_model("wav2vec2-group")
    model.config.apply_spec_augment = False
    freeze_parameters(model, "1")
    collator = Collator(feature_extractor("wav2vec2-group"))
    one = FrozenStates(model, find_frozen_part(model), collator)
    assert FrozenStates(model, find_frozen_part(model), collator).folder == one.folder
    bf16 = changed == "precision"
    if changed == "weights":
        with torch.no_grad():
            model.wav2vec2.encoder.layers[0].final_layer_norm.bias[0] += 1e-6
    elif changed == "layers":
        freeze_parameters(model, "2")
    elif changed == "settings":
        collator.feature_extractor.do_normalize = not collator.feature_extractor.do_normalize
    assert FrozenStates(model, find_frozen_part(model), collator, bf16=bf16).folder != one.folder


def test_a_new_head_has_the_same_files():
    folders = set()
    for emotions in (("angry", "sad"), ("angry", "happy", "sad")):
        model = tiny_model("wav2vec2-group", emotions=emotions)
        freeze_parameters(model, "cnn")
        model.config.head_strength = len(emotions) / 100
        part = find_frozen_part(model)
        folders.add(FrozenStates(model, part, Collator(feature_extractor("wav2vec2-group"))).folder)
    assert len(folders) == 1


def test_with_augmentation_nothing_is_stored(rows, tmp_path, fresh_cache):
    trainer = make_trainer(rows, tmp_path / "run")
    trainer.data_collator.augment = lambda waveform, seed: waveform[::-1].copy()
    train(trainer)
    assert not fresh_cache.exists()


@pytest.mark.parametrize(
    ("name", "freeze", "size"),
    [
        ("wav2vec2-group", "cnn", 24 * 0.475 * 50 * 2 * 16),  # bytes: rows, mean seconds, frames per second, float16
        ("wav2vec2-group", "1", 24 * 0.475 * 50 * 2 * 16),
        ("whisper", "1", 24 * 2 * 50 * 2 * 16),  # all utterances have the context of 2 s
    ],
)
def test_states_that_do_not_fit_on_the_disk_are_not_stored(
    rows, tmp_path, fresh_cache, monkeypatch, caplog, name, freeze, size
):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1.9 * size))
    with caplog.at_level("INFO", logger="ser_hf"):
        train(make_trainer(rows, tmp_path / "run", name=name, freeze=freeze))
    assert not fresh_cache.exists()
    assert "computed again in each epoch" in caplog.text
    assert f"or delete '{fresh_cache}', the outputs of earlier trainings" in caplog.text
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=2.1 * size))
    train(make_trainer(rows, tmp_path / "other", name=name, freeze=freeze))
    stored = list(fresh_cache.rglob("*.npy"))
    assert len(stored) == 24
    assert sum(path.stat().st_size - 128 for path in stored) == pytest.approx(size, rel=0.1)


def test_stored_states_are_used_on_a_disk_that_has_become_full(rows, tmp_path, fresh_cache, monkeypatch, caplog):
    expected = train(make_trainer(rows, tmp_path / "one"))
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=0))
    with caplog.at_level("INFO", logger="ser_hf"):
        assert train(make_trainer(rows, tmp_path / "other")) == expected
    assert "computed again in each epoch" not in caplog.text
