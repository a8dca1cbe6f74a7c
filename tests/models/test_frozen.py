import numpy as np
import pytest
import torch
from architectures import feature_extractor, tiny_model

from ser_hf.data import extract_features
from ser_hf.models.adapters import add_adapter
from ser_hf.models.backbone import freeze_parameters
from ser_hf.models.frozen import find_frozen_part, from_frozen_part, run_frozen_part
from ser_hf.models.padding import make_padding_aware

RNG = np.random.default_rng(0)
WAVEFORMS = [RNG.normal(0, 0.1, samples).astype(np.float32) for samples in (16_000, 9_001, 4_000)]
SPEECH = [
    "wav2vec2-group", "wav2vec2-layer", "hubert-group", "hubert-layer", "wavlm-group", "wavlm-layer", "unispeech",
    "unispeech-sat", "data2vec-audio",
]  # fmt: skip
CASES = [(name, freeze) for name in SPEECH for freeze in ("cnn", "1", "encoder")]
CASES += [("whisper", "1"), ("whisper", "encoder")]


def frozen_model(name, freeze):
    model = tiny_model(name)
    model.config.update({"apply_spec_augment": False, "layerdrop": 0.0})
    freeze_parameters(model, freeze)
    make_padding_aware(model)
    return model, dict(extract_features(feature_extractor(name), WAVEFORMS))


def gradients(model):
    return {name: value.grad for name, value in model.named_parameters() if value.grad is not None}


@pytest.mark.parametrize(("name", "freeze"), CASES)
def test_logits_and_gradients_from_stored_outputs_are_those_from_the_audio(name, freeze):
    model, inputs = frozen_model(name, freeze)
    part = find_frozen_part(model)
    assert part.layers == {"cnn": 0, "1": 1, "encoder": 2}[freeze]
    stock = model(**inputs).logits
    stock.square().sum().backward()
    expected = gradients(model)
    model.zero_grad()
    states = run_frozen_part(model, part, inputs).half()
    with from_frozen_part(model, part):
        found = model(**inputs | {model.main_input_name: states}).logits
        assert torch.equal(model(**inputs).logits, stock)
    found.square().sum().backward()
    assert (found - stock).abs().max() < 0.03  # float16
    assert gradients(model).keys() == expected.keys()
    size = max(value.norm() for value in expected.values())
    assert all((gradients(model)[key] - expected[key]).norm() < 0.02 * size for key in expected)


@pytest.mark.parametrize(("name", "freeze"), CASES)
def test_afterwards_the_model_is_as_before(name, freeze):
    model, inputs = frozen_model(name, freeze)
    stock = model(**inputs).logits
    with pytest.raises(KeyError), from_frozen_part(model, find_frozen_part(model)):
        raise KeyError
    assert not any("forward" in vars(module) for module in model.modules())
    assert torch.equal(model(**inputs).logits, stock)


@pytest.mark.parametrize(("name", "freeze"), CASES)
def test_a_frozen_part_computes_the_same_in_training_and_keeps_nothing_for_gradients(name, freeze):
    model, inputs = frozen_model(name, freeze)
    part = find_frozen_part(model)
    expected = run_frozen_part(model, part, inputs)
    seen = []
    part.last.register_forward_hook(lambda module, args, output: seen.append(output))
    model.train()(**inputs)
    output = seen[0][0] if isinstance(seen[0], tuple) else seen[0]
    assert not output.requires_grad
    assert torch.equal(output.transpose(1, 2) if part.channels_first else output, expected)


def test_the_convolutions_beside_an_adapter_keep_nothing_for_gradients():
    pytest.importorskip("peft", reason="the extra [adapters] is not installed")
    model, inputs = frozen_model("wav2vec2-group", "none")
    assert find_frozen_part(model) is None
    add_adapter(model, "lora", rank=2, alpha=4)
    assert find_frozen_part(model).layers == 0
    assert not model.train().wav2vec2.feature_extractor(inputs["input_values"]).requires_grad


@pytest.mark.parametrize("option", ["masks", "layer sum"])
def test_only_the_convolutions_are_reused_with_masks_or_a_layer_sum(option):
    model, _ = frozen_model("wav2vec2-group", "1")
    model.config.apply_spec_augment = option == "masks"
    model.config.use_weighted_layer_sum = option == "layer sum"
    assert find_frozen_part(model).layers == 0


OTHERS = [("whisper", "cnn"), ("sew", "cnn"), ("audio-spectrogram-transformer", "1")]


@pytest.mark.parametrize(("name", "freeze"), OTHERS)
def test_other_architectures_have_no_frozen_part(name, freeze):
    assert find_frozen_part(frozen_model(name, freeze)[0]) is None
