import copy

import numpy as np
import pytest
import torch
from architectures import CONFIGS, feature_extractor, tiny_model

from ser_hf.data import extract_features
from ser_hf.models import fast_attention
from ser_hf.models.fast_attention import attend
from ser_hf.models.fast_dropout import draw_kept
from ser_hf.models.fast_modules import speed_up

RNG = np.random.default_rng(0)
WAVEFORMS = [RNG.normal(0, 0.1, samples).astype(np.float32) for samples in (16_000, 9_001)]


@pytest.mark.parametrize("bias_shape", [None, (3, 1, 1, 7), (3, 2, 7, 7)])
def test_attention_has_the_values_and_gradients_of_its_definition(bias_shape):
    torch.manual_seed(0)
    inputs = [torch.randn(3, 2, 7, 5, dtype=torch.float64) for _ in range(3)]
    if bias_shape:
        inputs.append(torch.randn(bias_shape, dtype=torch.float64))
    factor = torch.randn(3, 7, 2, 5, dtype=torch.float64)

    def define(query, key, value, bias=0.0):
        kept = torch.empty(3, 2, 7, 7, dtype=torch.bool)
        for of_utterance in kept:
            draw_kept(0.4, out=of_utterance)
        weights = torch.softmax(0.3 * query @ key.mT + bias, -1)
        return ((weights * kept / 0.6) @ value).transpose(1, 2)

    results = []
    for function in (define, lambda *states: attend(*states, dropout=0.4, scaling=0.3)):
        torch.manual_seed(1)
        states = [tensor.clone().requires_grad_() for tensor in inputs]
        output = function(*states)
        (output * factor).sum().backward()
        results.append([output, *(tensor.grad for tensor in states)])
    for defined, found in zip(*results, strict=True):
        assert torch.allclose(defined, found, atol=1e-12)


RELATIVE = ("sew-d", "wav2vec2-conformer", "wav2vec2-bert")  # relative positions: the stock attention


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_model_in_training_has_the_stock_logits_and_gradients(name, bf16, monkeypatch):
    stock, inputs = tiny_model(name), extract_features(feature_extractor(name), WAVEFORMS)
    stock.config.apply_spec_augment, stock.config.layerdrop = False, 0.0
    for module in stock.modules():
        for key in ("dropout", "attention_dropout", "activation_dropout", "hidden_dropout", "feat_proj_dropout"):
            if isinstance(getattr(module, key, None), float):
                setattr(module, key, 1e-6 if "Attention" in type(module).__name__ else 0.0)  # 1e-6 drops nothing
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "drop_prob"):  # of SEW-D
            module.drop_prob = 0.0
    calls = []
    monkeypatch.setattr(
        fast_attention, "attend", lambda *states, **settings: calls.append(1) or attend(*states, **settings)
    )
    fast = copy.deepcopy(stock)
    speed_up(fast)
    results = []
    for model in (stock, fast):
        model.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = model(**inputs).logits.float()
        logits.square().sum().backward()
        results.append((logits, {key: value.grad for key, value in model.named_parameters()}))
    assert len(calls) == (0 if bf16 or name in RELATIVE else stock.config.num_hidden_layers)
    assert torch.allclose(results[0][0], results[1][0], atol=1e-4)
    for key, gradient in results[0][1].items():
        found = results[1][1][key]
        assert (gradient is None) is (found is None), key
        assert gradient is None or torch.allclose(gradient, found, rtol=1e-3, atol=1e-3), key


def test_the_checkpoint_does_not_name_the_attention(tmp_path):
    model = tiny_model("wav2vec2-group")
    speed_up(model)
    assert model.config._attn_implementation == "fast_dropout"
    model.save_pretrained(tmp_path)
    assert "fast_dropout" not in (tmp_path / "config.json").read_text(encoding="utf-8")
    assert type(model).from_pretrained(tmp_path).config._attn_implementation == "sdpa"
