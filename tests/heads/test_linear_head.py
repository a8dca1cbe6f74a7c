import numpy as np
import pytest
import torch
from architectures import feature_extractor, tiny_model
from transformers import AutoModelForAudioClassification

from ser_hf.data import extract_features
from ser_hf.heads.linear_head import check_linear, head_inputs, is_readout, write_classifier
from ser_hf.models import MelConfig
from ser_hf.models.readout import append_dimensions, write_readout
from ser_hf.models.temperature import fold_temperature

RNG = np.random.default_rng(3)
WAVEFORMS = [RNG.normal(0, 0.1, samples).astype(np.float32) for samples in (8_000, 16_000, 24_000)]


def build(name):
    """Return a model of which the last name part may be "readout", and its features."""
    model, kind = tiny_model(name.partition(" ")[0]), name.partition(" ")[0]
    features = extract_features(feature_extractor(kind), WAVEFORMS)
    if "readout" in name:
        model = append_dimensions(model, 4).eval()
        write_readout(model, torch.randn(4, 40, generator=torch.Generator().manual_seed(1)), torch.zeros(4))
        model.config.problem_type = "single_label_classification"
        fold_temperature(model, 2.0)
    return model, features


@pytest.mark.parametrize("name", ["wav2vec2-layer", "hubert-layer", "wavlm-layer", "whisper", "whisper readout"])
def test_the_model_answers_what_the_written_classifier_says(name):
    model, features = build(name)
    assert is_readout(model) is ("readout" in name)
    inputs = head_inputs(model, features)
    weight = torch.randn(4, inputs.shape[1], generator=torch.Generator().manual_seed(0))
    expected = inputs @ weight.T + torch.arange(4.0)
    write_classifier(model, weight, torch.arange(4.0))
    with torch.no_grad():
        found = model(**features).logits
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-3)
    assert expected.std() > 0.5  # else equality would prove nothing


def test_reading_the_inputs_changes_nothing():
    model, features = build("wav2vec2-layer")
    with torch.no_grad():
        before = model(**features).logits
        head_inputs(model, features)
        assert torch.equal(model(**features).logits, before)


@pytest.mark.parametrize("name", ["mel", "audio-spectrogram-transformer"])
def test_a_head_that_is_not_linear_is_refused(name):
    model = tiny_model(name) if name != "mel" else AutoModelForAudioClassification.from_config(MelConfig(hidden_size=8))
    with pytest.raises(ValueError, match=f"head of '{name}' .* so it is not linear in the mean over frames"):
        check_linear(model)


def test_a_projection_that_is_narrower_than_the_emotions_is_refused():
    model = tiny_model("wav2vec2-layer")
    model.projector = torch.nn.Linear(16, 3)
    with pytest.raises(ValueError, match="has 3 dimensions: expected at least 4"):
        check_linear(model)
