import copy

import numpy as np
import pytest
import torch
from architectures import feature_extractor, tiny_model
from torch.nn.functional import conv1d

from ser_hf.data import extract_features
from ser_hf.models.fast_dropout import FastDropout
from ser_hf.models.fast_modules import grouped_convolution, speed_up

RNG = np.random.default_rng(0)
WAVEFORMS = [RNG.normal(0, 0.1, samples).astype(np.float32) for samples in (16_000, 9_001)]


@pytest.mark.parametrize(("frames", "kernel", "padding"), [(50, 128, 64), (7, 33, 16), (200, 32, 20)])
def test_a_convolution_by_fourier_transforms_has_the_same_values_and_gradients(frames, kernel, padding):
    torch.manual_seed(0)
    tensors = [torch.randn(shape, dtype=torch.float64) for shape in ((2, 12, frames), (12, 4, kernel), (12,))]
    results = []
    for convolve in (conv1d, grouped_convolution):
        inputs = [tensor.clone().requires_grad_() for tensor in tensors]
        output = convolve(*inputs, groups=3, padding=padding)
        output.square().sum().backward()
        results.append([output, *(tensor.grad for tensor in inputs)])
    for stock, fast in zip(*results, strict=True):
        assert stock.shape == fast.shape
        assert torch.allclose(stock, fast, atol=1e-9)


@pytest.mark.parametrize("name", ["wav2vec2-group", "hubert-layer", "wavlm-group", "data2vec-audio", "whisper"])
def test_a_model_has_the_same_logits_gradients_and_names(name, monkeypatch):
    monkeypatch.setattr("ser_hf.models.fast_modules.LEAST_KERNEL", 8)  # the tiny models have kernels of 16
    stock, inputs = tiny_model(name), extract_features(feature_extractor(name), WAVEFORMS)
    fast = copy.deepcopy(stock)
    speed_up(fast)
    patched = [key for key, module in fast.named_modules() if "_conv_forward" in vars(module)]
    assert bool(patched) is (name not in ("whisper", "data2vec-audio"))
    results = []
    for model in (stock, fast):
        logits = model(**inputs).logits
        logits.square().sum().backward()
        results.append((logits, {key: value.grad for key, value in model.named_parameters()}))
    assert torch.allclose(results[0][0], results[1][0], atol=1e-4)
    assert list(stock.state_dict()) == list(fast.state_dict())
    for key, gradient in results[0][1].items():
        assert gradient is None or torch.allclose(gradient, results[1][1][key], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("options", [{"bias": False}, {"padding": "same"}, {"padding_mode": "circular"}])
def test_a_convolution_that_differs_from_position_embeddings_stays_the_stock_one(options):
    module = torch.nn.Conv1d(12, 12, 33, **{"groups": 3, "padding": 16} | options)
    model = tiny_model("hubert-layer")
    model.extra = module
    speed_up(model)
    assert "_conv_forward" not in vars(module)


def test_a_convolution_with_weights_in_bfloat16_is_the_stock_one():
    inputs = [torch.randn(shape, dtype=torch.bfloat16) for shape in ((2, 4, 50), (4, 2, 32), (4,))]
    assert torch.equal(grouped_convolution(*inputs, groups=2, padding=16), conv1d(*inputs, groups=2, padding=16))


def test_in_bfloat16_the_convolution_is_the_stock_one():
    inputs = [torch.randn(shape) for shape in ((2, 4, 50), (4, 2, 32), (4,))]
    with torch.autocast("cpu", torch.bfloat16):
        assert grouped_convolution(*inputs, groups=2, padding=16).dtype == torch.bfloat16


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_dropout_removes_its_share_and_keeps_the_mean(share):
    torch.manual_seed(0)
    values = torch.rand(1000, 1001) + 0.5
    values.requires_grad_()
    output = FastDropout(share)(values)
    output.backward(torch.ones_like(output))
    kept = output != 0
    assert kept.float().mean().item() == pytest.approx(1 - share, abs=0.003)
    assert output.mean().item() == pytest.approx(1.0, abs=0.005)
    assert torch.allclose(output[kept], values[kept] / (1 - share))
    assert torch.equal(values.grad, kept / (1 - share))
    assert not torch.equal(FastDropout(share)(values) != 0, kept)


def test_the_seed_decides_which_values_are_dropped():
    masks = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        masks.append(FastDropout(0.3)(torch.ones(100)))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_nothing_is_dropped_in_evaluation():
    values = torch.rand(10)
    assert torch.equal(FastDropout(0.5).eval()(values), values)
