from types import SimpleNamespace

import pytest
from architectures import CONFIGS, tiny_model
from transformers import AutoModelForAudioClassification

from ser_hf.models import MelConfig
from ser_hf.training.trainer import DivergenceCallback, best_evaluation, last_checkpoint, learning_rates

NAN = float("nan")


@pytest.mark.parametrize("log", [{"loss": float("nan")}, {"eval_loss": float("inf"), "eval_ua": 0.25}])
def test_a_training_that_diverges_stops_and_names_the_learning_rate(log):
    arguments, state = SimpleNamespace(learning_rate=5.0), SimpleNamespace(epoch=2.0)
    with pytest.raises(ValueError, match=r"diverged: .* in epoch 2\. Lower --learning_rate \(now 5\)"):
        DivergenceCallback().on_log(arguments, state, None, logs=log)


def test_a_norm_of_gradients_that_overflows_does_not_stop_a_training():
    DivergenceCallback().on_log(None, None, None, logs={"loss": 2.0, "grad_norm": float("inf")})


def test_a_checkpoint_whose_state_is_cut_or_missing_is_passed_over(tmp_path):
    for step, state in ((4, '{"epoch": 1}'), (8, '{"epoch": 2, "log_hist'), (12, "")):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    (tmp_path / "checkpoint-16").mkdir()
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-4")


def trainer(metric, best, losses, uas, *, epoch=None):
    """Return what `best_evaluation` reads of a Trainer, with a training loss between the evaluations."""
    history = [{"epoch": 0.5, "loss": 1.0}]
    for i, (loss, ua) in enumerate(zip(losses, uas, strict=True), 1):
        history += [{"epoch": float(i), "eval_loss": loss, "eval_ua": ua}, {"epoch": i + 0.5, "loss": 1.0}]
    state = SimpleNamespace(log_history=history, best_metric=best, epoch=epoch)
    return SimpleNamespace(state=state, args=SimpleNamespace(metric_for_best_model=metric))


@pytest.mark.parametrize(
    ("metric", "best", "losses", "uas", "expected"),
    [
        ("ua", 0.7, [0.9, 0.8, 0.5], [0.6, 0.7, 0.7], (2.0, 0.7)),  # the first of two equal ones, as in the Trainer
        ("eval_ua", 0.7, [0.9, 0.8], [0.7, 0.6], (1.0, 0.7)),
        ("loss", 0.5, [0.9, 0.8, 0.5], [0.6, 0.7, 0.4], (3.0, 0.4)),
        ("loss", 0.8, [NAN, 0.8, 0.9], [0.2, 0.4, 0.3], (2.0, 0.4)),
        ("loss", float("inf"), [NAN, NAN], [0.2, 0.3], (2.0, 0.3)),
    ],
)
def test_the_best_evaluation_is_that_of_the_metric_which_chooses_the_epoch(metric, best, losses, uas, expected):
    found = best_evaluation(trainer(metric, best, losses, uas))
    assert (found["epoch"], found["eval_ua"]) == expected


@pytest.mark.parametrize(("epoch", "expected"), [(None, 0), (3.0, 3.0)])
def test_without_an_evaluation_it_is_the_last_epoch(epoch, expected):
    assert best_evaluation(trainer("ua", None, [], [], epoch=epoch)) == {"epoch": expected}


def rates_of(model, *, layer_decay=0.5, head=None):
    return learning_rates(
        model, SimpleNamespace(learning_rate=0.08, head_learning_rate=head, layer_decay=layer_decay)
    )  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_the_learning_rate_decays_from_the_top_layer_to_the_convolutions(name):
    rates = rates_of(tiny_model(name), head=0.8)
    found = {rate: {key for key in rates if rates[key] == rate} for rate in rates.values()}
    assert sorted(found) == [0.02, 0.04, 0.08, 0.8]
    assert all(".layers.1." in f".{key}" or ".layer.1." in f".{key}" for key in found[0.08])
    assert all(".layers.0." in f".{key}" or ".layer.0." in f".{key}" for key in found[0.04])
    assert {key.split(".")[0] for key in found[0.8]} <= {"projector", "classifier"}
    if "conv_dim" in CONFIGS[name]().to_dict():
        assert any("feature_extractor" in key for key in found[0.02])
        assert any("pos_conv_embed" in key for key in found[0.02])


def test_without_decay_all_layers_have_the_same_learning_rate():
    assert set(rates_of(tiny_model("whisper"), layer_decay=None).values()) == {0.08}


def test_frozen_parameters_have_no_learning_rate():
    model = tiny_model("whisper")
    model.encoder.requires_grad_(False)
    assert {key.split(".")[0] for key in rates_of(model)} == {"projector", "classifier"}


def test_a_decay_without_layers_is_an_error():
    model = AutoModelForAudioClassification.from_config(MelConfig(hidden_size=8))
    with pytest.raises(ValueError, match="layer_decay: this architecture has no transformer layers"):
        rates_of(model)
    assert set(rates_of(model, layer_decay=None).values()) == {0.08}
