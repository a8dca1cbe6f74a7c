import numpy as np
import pytest
import torch
from architectures import CONFIGS, feature_extractor, tiny_model

from ser_hf.data import extract_features
from ser_hf.models.padding import EQUAL_LENGTHS_ONLY, evaluation_batch_size, make_padding_aware

RNG = np.random.default_rng(0)
WAVEFORMS = [RNG.normal(0, 0.1, samples).astype(np.float32) for samples in (16_000, 9_001, 4_000, 31_231, 5_120, 7_400)]
NEEDS_PATCH = {
    "wav2vec2-group", "hubert-group", "wavlm-group", "unispeech", "unispeech-sat", "data2vec-audio", "sew", "sew-d",
    "wav2vec2-conformer",
}  # fmt: skip


EXACT = [name for name in CONFIGS if name not in EQUAL_LENGTHS_ONLY]


@torch.no_grad()
def padded_against_single(model, extractor):
    """Return the largest difference of logits, padded batch against single, relative to their spread."""
    batch = model(**extract_features(extractor, WAVEFORMS)).logits
    single = torch.cat([model(**extract_features(extractor, [waveform])).logits for waveform in WAVEFORMS])
    assert 0.3 < single.std() < 3
    return ((batch - single).abs().max() / single.std()).item()


@pytest.mark.parametrize("name", EXACT)
def test_a_padded_batch_equals_the_single_utterance(name):
    model = tiny_model(name)
    extractor = feature_extractor(name)
    assert make_padding_aware(model) is (name in NEEDS_PATCH)
    assert padded_against_single(model, extractor) < 1e-3


@pytest.mark.parametrize("name", sorted(NEEDS_PATCH))
def test_without_the_patch_the_padding_changes_the_logits(name):
    assert padded_against_single(tiny_model(name), feature_extractor(name)) > 1e-2


@pytest.mark.parametrize("name", sorted(NEEDS_PATCH))
def test_a_patched_model_answers_a_single_utterance_like_the_stock_one(name):
    inputs = extract_features(feature_extractor(name), WAVEFORMS[:1])
    stock, patched = tiny_model(name), tiny_model(name)
    make_padding_aware(patched)
    with torch.no_grad():
        assert torch.allclose(stock(**inputs).logits, patched(**inputs).logits, atol=1e-5)


def test_the_patched_weights_are_stock(tmp_path):
    model = tiny_model("wav2vec2-group")
    names = list(model.state_dict())
    make_padding_aware(model)
    assert list(model.state_dict()) == names
    model.save_pretrained(tmp_path)
    reloaded, loading = type(model).from_pretrained(tmp_path, output_loading_info=True)
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in reloaded.state_dict().items())


def test_gradients_flow_through_the_patched_norm():
    model = tiny_model("hubert-group").train()
    make_padding_aware(model)
    model(**extract_features(feature_extractor("hubert-group"), WAVEFORMS)).logits.sum().backward()
    norm = model.hubert.feature_extractor.conv_layers[0].layer_norm
    assert norm.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("name", EQUAL_LENGTHS_ONLY)
def test_sew_is_evaluated_one_by_one_since_no_patch_can_help_it(name):
    model, extractor = tiny_model(name), feature_extractor(name)
    make_padding_aware(model)
    assert padded_against_single(model, extractor) > 1e-3  # if this fails, stock SEW has learned to pad
    assert evaluation_batch_size(model.config, 16) == 1
    assert evaluation_batch_size(tiny_model("wav2vec2-group").config, 16) == 16
