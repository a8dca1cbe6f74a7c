import numpy as np
import pytest
import torch
from architectures import feature_extractor, tiny_model
from transformers import WhisperForAudioClassification

from ser_hf.data import extract_features
from ser_hf.models.readout import activations, append_dimensions, read_layers, write_readout


@pytest.fixture(scope="module")
def features():
    rng = np.random.default_rng(3)
    waveforms = [rng.normal(0, 0.1, samples).astype(np.float32) for samples in (8_000, 16_000, 24_000)]
    return extract_features(feature_extractor("whisper"), waveforms)["input_features"]


@pytest.fixture
def wide():
    return append_dimensions(tiny_model("whisper"), 4).eval()


def test_the_hidden_states_grow_by_as_many_dimensions_as_there_are_logits(wide):
    assert wide.config.d_model == 20  # 16 before, four emotions
    assert append_dimensions(tiny_model("whisper"), 3).config.d_model == 20  # of two attention heads: an even number


def test_what_the_layers_compute_changes_little(wide, features):
    with torch.no_grad():
        before, after = (
            model.encoder(features, output_hidden_states=True).hidden_states for model in (tiny_model("whisper"), wide)
        )
    for former, wider in zip(before[:-1], after[:-1], strict=True):
        centred = former - former.mean(-1, keepdim=True)
        assert (wider[..., :16] - wider[..., :16].mean(-1, keepdim=True) - centred).norm() < 0.05 * centred.norm()
        assert wider[..., 16:].abs().max() == 0


def test_the_model_answers_what_the_readout_says(wide, features, tmp_path):
    inputs = sum(linear.in_features for linear in read_layers(wide))
    assert inputs == 40  # of one layer: 20 of the attention heads, 20 feed-forward
    weight = torch.randn(4, inputs, generator=torch.Generator().manual_seed(0))
    expected = activations(wide, features) @ weight.T + torch.arange(4.0)
    write_readout(wide, weight, torch.arange(4.0))
    with torch.no_grad():
        torch.testing.assert_close(wide(input_features=features).logits, expected, rtol=0, atol=2e-3)
    assert expected.std() > 0.5  # else equality would prove nothing
    wide.save_pretrained(tmp_path)
    stock = WhisperForAudioClassification.from_pretrained(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(stock(input_features=features).logits, wide(input_features=features).logits)


def test_what_is_frozen_stays_frozen():
    model = tiny_model("whisper")
    model.encoder.conv1.requires_grad_(False)
    wide = append_dimensions(model, 4)
    assert not wide.encoder.conv1.weight.requires_grad and wide.encoder.conv2.weight.requires_grad


def test_another_architecture_is_refused():
    with pytest.raises(ValueError, match="head_init: readout is for Whisper, found 'wav2vec2'; use probe or random"):
        append_dimensions(tiny_model("wav2vec2-layer"), 4)
