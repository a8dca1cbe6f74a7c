import copy
import json
import sys

import pytest
import torch
from architectures import CONFIGS, feature_extractor, tiny_model
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForAudioClassification

from ser_hf.data import extract_features
from ser_hf.models import MelConfig, adapters, make_padding_aware
from ser_hf.models.adapters import add_adapter, choose_targets, merge_adapter, save_adapter

PROJECTIONS = {"k_proj", "out_proj", "q_proj", "v_proj"}
TARGETS = dict.fromkeys(CONFIGS, PROJECTIONS) | {
    "wavlm-group": {"intermediate_dense", "output_dense"},
    "wavlm-layer": {"intermediate_dense", "output_dense"},
    "wav2vec2-conformer": {"linear_k", "linear_out", "linear_q", "linear_v"},
    "wav2vec2-bert": {"linear_k", "linear_out", "linear_q", "linear_v"},
    "sew-d": {"key_proj", "query_proj", "value_proj"},
    "audio-spectrogram-transformer": {"k_proj", "o_proj", "q_proj", "v_proj"},
}
ARCHITECTURES = ["wav2vec2-group", "wavlm-layer", "hubert-layer", "whisper"]
HEAD = {"projector.weight", "projector.bias", "classifier.weight", "classifier.bias"}


def adapted(name, kind="lora", **options):
    """Return a tiny model with an adapter, its inputs, and its logits without the adapter."""
    model = tiny_model(name)
    make_padding_aware(model)
    waveforms = [torch.randn(samples).numpy() for samples in (8_000, 16_000)]
    inputs = extract_features(feature_extractor(name), waveforms)
    with torch.no_grad():
        before = model(**inputs).logits
    add_adapter(model, kind, rank=2, alpha=4, **options)
    return model.eval(), inputs, before


def equal(one, other):
    """Return whether logits are equal to 1e-5, or to 1e-5 of the largest one: those of tiny Whisper exceed 100."""
    return (one - other).abs().max() < 1e-5 * max(1.0, other.abs().max())


def train(model, inputs, steps=3):
    """Take large steps with the trainable parameters."""
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.003)
    for _ in range(steps):
        loss = model(**inputs, labels=torch.tensor([0, 3])).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("name", CONFIGS)
def test_the_default_targets_are_the_attention_projections_that_the_stock_code_calls(name):
    model, inputs, before = adapted(name)
    with torch.no_grad():
        assert torch.allclose(model(**inputs).logits, before, atol=1e-5)
    train(model, inputs)
    grown = {key: value.abs().max().item() for key, value in model.named_parameters() if "lora_B" in key}
    assert {key.split(".lora_B")[0].rpartition(".")[2] for key in grown} == TARGETS[name]
    assert all(grown.values()), grown  # every adapter had a gradient


@pytest.mark.parametrize("kind", ["lora", "dora"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_only_adapter_and_head_are_trained_and_the_merged_model_is_stock(name, kind, tmp_path):
    model, inputs, before = adapted(name, kind)
    frozen = {key: value.clone() for key, value in model.named_parameters() if not value.requires_grad}
    trained = {key for key, value in model.named_parameters() if value.requires_grad}
    assert trained >= HEAD and all("lora_" in key for key in trained - HEAD)
    train(model, inputs)
    assert all(torch.equal(value, model.get_parameter(key)) for key, value in frozen.items())
    with torch.no_grad():
        unmerged = model(**inputs).logits
        merge_adapter(model)
        assert equal(model(**inputs).logits, unmerged)
    assert (unmerged - before).abs().max() > 0.1
    model.save_pretrained(tmp_path)
    assert load_file(tmp_path / "model.safetensors").keys() == tiny_model(name).state_dict().keys()
    stock, loading = AutoModelForAudioClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    make_padding_aware(stock)
    with torch.no_grad():
        assert equal(stock(**inputs).logits, unmerged)


@pytest.mark.parametrize("kind", ["lora", "dora"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_adapter_alone_gives_the_same_logits_on_the_pretrained_encoder(name, kind, tmp_path):
    model, inputs, _ = adapted(name, kind)
    train(model, inputs)
    save_adapter(model, tmp_path / "adapter")
    assert sorted(path.name for path in (tmp_path / "adapter").iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors",
    ]  # fmt: skip
    base = tiny_model(name)
    base.classifier.reset_parameters()  # the head is in the adapter
    loaded = PeftModel.from_pretrained(base, str(tmp_path / "adapter")).merge_and_unload()
    make_padding_aware(loaded)
    with torch.no_grad():
        assert equal(loaded.eval()(**inputs).logits, model(**inputs).logits)


def test_the_weights_of_a_layer_sum_are_trained_and_saved_with_the_adapter(tmp_path):
    config = CONFIGS["wavlm-layer"]()
    config.use_weighted_layer_sum = True
    model = AutoModelForAudioClassification.from_config(config)
    base = copy.deepcopy(model)
    add_adapter(model, "lora")
    assert model.layer_weights.requires_grad
    torch.nn.init.normal_(model.layer_weights)
    save_adapter(model, tmp_path)
    loaded = PeftModel.from_pretrained(base, str(tmp_path)).merge_and_unload()
    assert torch.equal(loaded.layer_weights, model.layer_weights)


def test_no_path_of_a_model_folder_is_published(tmp_path):
    tiny_model("whisper").save_pretrained(tmp_path / "my_encoder")
    model = AutoModelForAudioClassification.from_pretrained(tmp_path / "my_encoder")
    add_adapter(model, "lora", targets=["v_proj", "q_proj"])
    save_adapter(model, tmp_path)
    stored = json.loads((tmp_path / "adapter_config.json").read_text())
    assert stored["base_model_name_or_path"] == "my_encoder"
    assert (stored["target_modules"], stored["modules_to_save"]) == (["v_proj", "q_proj"], ["projector", "classifier"])


def test_targets_may_be_whole_names_or_their_ends():
    model, _, _ = adapted("whisper", targets=["encoder.layers.1.fc1", "0.fc2"])
    found = [key for key, _ in model.named_parameters() if "lora_A" in key]
    assert found == ["encoder.layers.0.fc2.lora_A.default.weight", "encoder.layers.1.fc1.lora_A.default.weight"]


@pytest.mark.parametrize("target", ["q_porj", "roj", "classifier", "conv1"])
def test_a_target_that_is_no_linear_layer_of_the_encoder_is_an_error_that_names_them(target):
    with pytest.raises(ValueError) as error:
        choose_targets(tiny_model("whisper"), ["q_proj", target])
    assert str(error.value) == (
        "adapter_targets: expected names of linear layers of the 'whisper' encoder that can be adapted "
        f"(fc1, fc2, k_proj, out_proj, q_proj, v_proj), found ['{target}']."
    )


def test_the_attention_of_wavlm_is_refused_because_an_adapter_there_would_have_no_effect():
    with pytest.raises(ValueError, match=r"'wavlm' .*intermediate_dense, output_dense.*found \['q_proj'\]"):
        choose_targets(tiny_model("wavlm-layer"), ["q_proj"])


def test_an_encoder_without_linear_layers_is_refused():
    mel = AutoModelForAudioClassification.from_config(MelConfig(hidden_size=8))
    with pytest.raises(ValueError, match="'mel' encoder .*found no attention"):
        choose_targets(mel)


def test_a_missing_peft_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ImportError, match=r'pip install "ser_hf\[adapters\]"'):
        adapters.check_peft()
