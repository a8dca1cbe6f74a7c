import numpy as np
import pytest
import torch
from architectures import CONFIGS, feature_extractor, tiny_model
from transformers import AutoModelForAudioClassification

from ser_hf.data import extract_features
from ser_hf.evaluation.calibration import calibration_errors, fit_temperature
from ser_hf.models.checkpoint_loading import default_feature_extractor
from ser_hf.models.configuration_mel import MelConfig
from ser_hf.models.modeling_mel import MelForAudioClassification
from ser_hf.models.temperature import fold_temperature

MEL = {"n_mels": 20, "n_mfcc": 10, "conv_channels": (4, 8), "hidden_size": 8, "num_labels": 4}


@pytest.fixture(params=[*CONFIGS, "mel"])
def heard(request):
    """A tiny model of each architecture, and what it hears in three utterances, in double precision."""
    noise = list(np.random.default_rng(2).normal(0, 0.1, (3, 8_000)).astype(np.float32))
    if request.param == "mel":
        torch.manual_seed(0)
        model, extractor = MelForAudioClassification(MelConfig(**MEL)).eval(), default_feature_extractor(MelConfig())
    else:
        model, extractor = tiny_model(request.param), feature_extractor(request.param)
    inputs = extract_features(extractor, noise).items()
    return model.double(), {name: value.double() if value.is_floating_point() else value for name, value in inputs}


@torch.no_grad()
def logits_of(model, inputs):
    return model(**inputs).logits


def test_folding_divides_the_logits_of_every_architecture_and_survives_saving(heard, tmp_path):
    model, inputs = heard
    before = logits_of(model, inputs)
    fold_temperature(model, 2.5)
    after = logits_of(model, inputs)
    assert before.std() > 0.01
    torch.testing.assert_close(after, before / 2.5, rtol=1e-9, atol=1e-9)
    assert torch.equal(after.argmax(1), before.argmax(1))
    model.save_pretrained(tmp_path)
    loaded = AutoModelForAudioClassification.from_pretrained(tmp_path)
    assert loaded.config.calibration_temperature == 2.5
    torch.testing.assert_close(logits_of(loaded, inputs), after, rtol=1e-9, atol=1e-9)


def test_folding_touches_the_last_layer_only(heard):
    model, _ = heard
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fold_temperature(model, 2.0)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert {name.split(".")[-1] for name in changed} <= {"weight", "bias"}
    assert {name.rpartition(".")[0] for name in changed} <= {"classifier", "classifier.dense"} and changed


def test_a_fitted_temperature_lowers_nll_and_moves_no_prediction():
    model = tiny_model("whisper")
    noise = np.random.default_rng(3).normal(0, 0.1, (8, 8_000)).astype(np.float32)
    inputs = extract_features(feature_extractor("whisper"), list(noise))
    before = 4 * logits_of(model, inputs)
    fold_temperature(model, 0.25)
    labels = before.argmax(1).numpy()
    labels[::3] = (labels[::3] + 1) % 4  # three of eight are wrong
    fold_temperature(model, fit_temperature(before.numpy(), labels))
    after = logits_of(model, inputs)
    assert torch.equal(after.argmax(1), before.argmax(1))
    nll = [calibration_errors(logits.double().softmax(1).numpy(), labels)["nll"] for logits in (before, after)]
    assert nll[1] < nll[0] - 0.01


def test_folded_twice_the_product_is_on_record():
    model = tiny_model("wav2vec2-group")
    before = model.classifier.weight.clone()
    fold_temperature(model, 2.0)
    fold_temperature(model, 1.5)
    assert model.config.calibration_temperature == 3.0
    torch.testing.assert_close(model.classifier.weight, before / 3)


@pytest.mark.parametrize("problem_type", ["regression", "multi_label_classification"])
def test_scores_that_are_not_a_softmax_have_no_temperature(problem_type):
    model = tiny_model("wav2vec2-group")
    model.config.problem_type = problem_type
    before = model.classifier.weight.clone()
    with pytest.raises(ValueError, match=f"found '{problem_type}'"):
        fold_temperature(model, 2.0)
    assert torch.equal(model.classifier.weight, before)
    assert not hasattr(model.config, "calibration_temperature")


@pytest.mark.parametrize("found", ["Tanh", "no classifier"])
def test_a_head_that_does_not_end_in_a_linear_layer_is_refused(found):
    model = tiny_model("wav2vec2-group")
    if found == "Tanh":
        model.classifier = torch.nn.Sequential(model.classifier, torch.nn.Tanh())
    else:
        del model.classifier, model.projector
    with pytest.raises(ValueError, match=f"ends in a linear layer, found {found}"):
        fold_temperature(model, 2.0)
