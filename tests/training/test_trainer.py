from types import SimpleNamespace

import pytest
from architectures import CONFIGS, tiny_model
from transformers import AutoModelForAudioClassification

from ser_hf.models import MelConfig
from ser_hf.training.trainer import learning_rates


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
