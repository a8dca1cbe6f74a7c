import logging

import pytest
import torch
from architectures import CONFIGS, feature_extractor, tiny_model
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    WhisperForConditionalGeneration,
)

from ser_hf.data import extract_features
from ser_hf.models import build_model
from ser_hf.models.checkpoint_loading import is_head
from ser_hf.models.context import cut_context

EMOTIONS = ["happy", "sad", "surprised"]


@pytest.fixture
def checkpoint(tmp_path):
    """Save a tiny pretrained encoder of an architecture, with a head of four other classes, and return its folder."""

    def save(name, **changes):
        model = tiny_model(name)
        for key, value in changes.items():
            setattr(model.config, key, value)
        model.save_pretrained(tmp_path / name)
        feature_extractor(name).save_pretrained(tmp_path / name)
        return str(tmp_path / name)

    return save


@pytest.mark.parametrize("name", CONFIGS)
def test_every_architecture_keeps_its_encoder_and_gets_a_new_head(checkpoint, name, tmp_path):
    folder = checkpoint(name)
    model, extractor = build_model(folder, outputs=EMOTIONS)
    assert model.config.id2label == dict(enumerate(EMOTIONS))
    pretrained = AutoModelForAudioClassification.from_pretrained(folder).state_dict()
    for key, value in model.state_dict().items():
        if not is_head(key):
            assert torch.equal(value, pretrained[key]), key
    assert model.classifier(torch.zeros(1, 16)).shape == (1, 3)
    model.save_pretrained(tmp_path / "out")
    extractor.save_pretrained(tmp_path / "out")
    stock, loading = AutoModelForAudioClassification.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not loading["missing_keys"]
    assert type(stock).__module__.startswith("transformers.")
    assert type(AutoFeatureExtractor.from_pretrained(tmp_path / "out")) is type(extractor)


def test_expected_is_either_a_checkpoint_or_an_architecture():
    with pytest.raises(ValueError, match="either model_name_or_path .* or model_type"):
        build_model(outputs=EMOTIONS)
    with pytest.raises(ValueError, match="either model_name_or_path .* or model_type"):
        build_model("x", model_type="mel", outputs=EMOTIONS)


def test_an_architecture_from_random_weights_takes_overrides():
    overrides = {"hidden_size": "32", "num_hidden_layers": "2", "num_attention_heads": "2", "intermediate_size": "40"}
    model, extractor = build_model(model_type="wav2vec2", config_overrides=overrides, outputs=EMOTIONS)
    assert model.config.hidden_size == 32
    assert extractor.return_attention_mask


def test_an_unknown_override_is_refused():
    with pytest.raises(ValueError, match="hiden_size"):
        build_model(model_type="mel", config_overrides={"hiden_size": "8"}, outputs=EMOTIONS)


def test_half_precision_weights_are_trained_in_float32(checkpoint, caplog):
    folder = checkpoint("hubert-layer")
    AutoModelForAudioClassification.from_pretrained(folder).half().save_pretrained(folder)
    with caplog.at_level(logging.INFO, "ser_hf"):
        model, _ = build_model(folder, outputs=EMOTIONS)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert "dtype adjusted from torch.float16 to torch.float32 because" in caplog.text


def test_masks_are_switched_on_and_long_masks_capped(checkpoint, caplog):
    folder = checkpoint("wav2vec2-group")
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    extractor.return_attention_mask = False
    extractor.save_pretrained(folder)
    with caplog.at_level(logging.INFO, "ser_hf"):
        model, extractor = build_model(
            folder, outputs=EMOTIONS, masking={"mask_time_prob": 0.1, "mask_time_length": 40}
        )
    assert extractor.return_attention_mask
    assert model.config.apply_spec_augment
    assert (model.config.mask_time_prob, model.config.mask_time_length) == (0.1, 10)
    assert "return_attention_mask adjusted" in caplog.text
    assert "mask_time_length adjusted from 40 to 10" in caplog.text


def test_without_masking_no_spec_augment_is_left_from_pretraining(checkpoint):
    model, _ = build_model(checkpoint("wavlm-layer"), outputs=EMOTIONS)
    assert model.config.apply_spec_augment is False


def test_layerdrop_is_overridden_under_the_name_of_the_architecture(checkpoint):
    assert build_model(checkpoint("hubert-group"), outputs=EMOTIONS, layerdrop=0.0)[0].config.layerdrop == 0
    whisper = checkpoint("whisper", encoder_layerdrop=0.2)
    assert build_model(whisper, outputs=EMOTIONS, layerdrop=0.0)[0].config.encoder_layerdrop == 0


def test_a_missing_feature_extractor_is_replaced_by_the_default(tmp_path, caplog):
    tiny_model("hubert-layer").save_pretrained(tmp_path)
    with caplog.at_level(logging.INFO, "ser_hf"):
        _, extractor = build_model(str(tmp_path), outputs=EMOTIONS)
    assert extractor.return_attention_mask
    assert "contains no feature extractor" in caplog.text


def test_weights_of_another_architecture_are_refused(checkpoint):
    folder = checkpoint("hubert-layer")
    CONFIGS["whisper"]().save_pretrained(folder)
    with pytest.raises(ValueError, match="lacks .* weights of its whisper encoder"):
        build_model(folder, outputs=EMOTIONS)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_frozen_encoder_leaves_the_head_only(checkpoint, name):
    model, _ = build_model(checkpoint(name), outputs=EMOTIONS, freeze="encoder")
    trained = {key.split(".")[0] for key, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained <= {"projector", "classifier", "layer_weights"}
    assert "classifier" in trained


@pytest.mark.parametrize("name", CONFIGS)
def test_the_convolutions_are_frozen_where_there_are_some(checkpoint, name):
    folder = checkpoint(name)
    if name in ("wav2vec2-bert", "audio-spectrogram-transformer"):
        with pytest.raises(ValueError, match="has no convolutional front end"):
            build_model(folder, outputs=EMOTIONS, freeze="cnn")
        return
    model, _ = build_model(folder, outputs=EMOTIONS, freeze="cnn")
    frozen = [key for key, parameter in model.named_parameters() if not parameter.requires_grad]
    assert frozen
    assert all(part in key for key in frozen for part in [".conv" if name == "whisper" else "feature_extractor"]
               if "embed_positions" not in key)  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_the_first_layers_are_frozen_with_all_that_is_below_them(checkpoint, name):
    model, _ = build_model(checkpoint(name), outputs=EMOTIONS, freeze="1")
    trained = {key for key, parameter in model.named_parameters() if parameter.requires_grad}
    assert {key for key in trained if is_head(key)} == {key for key, _ in model.named_parameters() if is_head(key)}
    assert any("layers.1." in key or "layer.1." in key for key in trained)
    assert all(is_head(key) or "layers.1." in key or "layer.1." in key for key in trained)
    assert not any("conv_layers" in key or "pos_conv" in key for key in trained)


def test_more_frozen_layers_than_there_are_is_an_error(checkpoint):
    with pytest.raises(ValueError, match="freeze: 'whisper' has 2 layers, found 3"):
        build_model(checkpoint("whisper"), outputs=EMOTIONS, freeze="3")
    with pytest.raises(ValueError, match="freeze: 'mel' has 0 layers, found 1"):
        build_model(model_type="mel", outputs=EMOTIONS, freeze="1")


@pytest.mark.parametrize("name", CONFIGS)
def test_the_layer_sum_is_learned_where_the_stock_class_has_one(checkpoint, name):
    folder = checkpoint(name)
    if name == "audio-spectrogram-transformer":
        with pytest.raises(ValueError, match="'audio-spectrogram-transformer' has no layer sum"):
            build_model(folder, outputs=EMOTIONS, layer_sum=True)
        return
    model, _ = build_model(folder, outputs=EMOTIONS, layer_sum=True)
    assert model.layer_weights.shape == (model.config.num_hidden_layers + 1,)
    assert model.layer_weights.requires_grad
    assert getattr(model.config, "layerdrop", 0) == 0  # a dropped layer would leave one hidden state too few


def test_a_cut_context_is_exact(checkpoint):
    folder = checkpoint("whisper")
    whole = AutoModelForAudioClassification.from_pretrained(folder)
    model, extractor = build_model(folder, outputs=EMOTIONS, longest=0.6)
    assert model.config.max_source_positions == 50
    assert (extractor.chunk_length, extractor.n_samples, extractor.nb_max_frames) == (1, 16_000, 100)
    assert torch.equal(model.encoder.embed_positions.weight, whole.encoder.embed_positions.weight[:50])
    assert not model.encoder.embed_positions.weight.requires_grad
    assert extract_features(extractor, [torch.zeros(40_000).numpy()])["input_features"].shape == (1, 80, 100)


def test_a_context_is_never_lengthened(checkpoint):
    model, extractor = build_model(checkpoint("whisper"), outputs=EMOTIONS, longest=99.0)
    assert (model.config.max_source_positions, extractor.chunk_length) == (100, 2)


def test_the_encoder_of_a_whole_speech_recogniser_is_taken(tmp_path):
    torch.manual_seed(0)
    recogniser = WhisperForConditionalGeneration(CONFIGS["whisper"]())
    recogniser.save_pretrained(tmp_path)
    feature_extractor("whisper").save_pretrained(tmp_path)
    model, _ = build_model(str(tmp_path), outputs=EMOTIONS)
    weight = recogniser.model.encoder.layers[0].fc1.weight
    assert torch.equal(model.encoder.layers[0].fc1.weight, weight)


@pytest.mark.slow
def test_the_real_whisper_encoder_loads_with_a_cut_context(shared):
    model, extractor = build_model(str(shared / "models" / "whisper-tiny-en-encoder"), outputs=EMOTIONS, longest=5.3)
    assert (model.config.max_source_positions, extractor.chunk_length) == (300, 6)
    assert AutoConfig.for_model("whisper").max_source_positions == 1500
    assert cut_context(model, extractor, 2.0) is None
    assert model.encoder.embed_positions.num_embeddings == 100
