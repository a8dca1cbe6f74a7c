"""Tiny configurations (random weights) of every architecture behind AutoModelForAudioClassification."""

import numpy as np
import torch
from transformers import (
    ASTConfig,
    AutoModelForAudioClassification,
    Data2VecAudioConfig,
    HubertConfig,
    SEWConfig,
    SEWDConfig,
    UniSpeechConfig,
    UniSpeechSatConfig,
    Wav2Vec2BertConfig,
    Wav2Vec2Config,
    Wav2Vec2ConformerConfig,
    WavLMConfig,
    WhisperConfig,
)

from ser_hf.data import extract_features
from ser_hf.models.checkpoint_loading import default_feature_extractor

TRANSFORMER = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 20}
CONVOLUTIONS = {
    "conv_dim": (16, 16, 16),
    "conv_kernel": (10, 8, 4),
    "conv_stride": (5, 8, 8),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "classifier_proj_size": 16,
    "mask_time_length": 2,
}
SPEECH = TRANSFORMER | CONVOLUTIONS
SQUEEZED = SPEECH | {"squeeze_factor": 2}
LAYER = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}

CONFIGS = {
    "wav2vec2-group": lambda: Wav2Vec2Config(**SPEECH),
    "wav2vec2-layer": lambda: Wav2Vec2Config(**SPEECH, **LAYER),
    "hubert-group": lambda: HubertConfig(**SPEECH),
    "hubert-layer": lambda: HubertConfig(**SPEECH, **LAYER),
    "wavlm-group": lambda: WavLMConfig(**SPEECH),
    "wavlm-layer": lambda: WavLMConfig(**SPEECH, **LAYER),
    "unispeech": lambda: UniSpeechConfig(**SPEECH),
    "unispeech-sat": lambda: UniSpeechSatConfig(**SPEECH),
    "data2vec-audio": lambda: Data2VecAudioConfig(**SPEECH, conv_pos_kernel_size=7),
    "sew": lambda: SEWConfig(**SQUEEZED),
    "sew-d": lambda: SEWDConfig(**SQUEEZED),
    "wav2vec2-conformer": lambda: Wav2Vec2ConformerConfig(**SPEECH),
    "wav2vec2-bert": lambda: Wav2Vec2BertConfig(
        **TRANSFORMER, feature_projection_input_dim=160, conv_depthwise_kernel_size=5, classifier_proj_size=16
    ),
    "whisper": lambda: WhisperConfig(
        d_model=16, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=20,
        decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=20,
        num_mel_bins=80, max_source_positions=100, vocab_size=100, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, decoder_start_token_id=3, classifier_proj_size=16,
    ),
    "audio-spectrogram-transformer": lambda: ASTConfig(**TRANSFORMER, max_length=100, num_mel_bins=32),
}  # fmt: skip


def tiny_model(name, *, emotions=("angry", "happy", "neutral", "sad")):
    """Return a model of random weights whose head is scaled so that its logits spread by about 1."""
    torch.manual_seed(0)
    config = CONFIGS[name]()
    config.update(
        {"id2label": dict(enumerate(emotions)), "label2id": {emotion: i for i, emotion in enumerate(emotions)}}
    )
    model = AutoModelForAudioClassification.from_config(config).eval()
    rng = np.random.default_rng(1)
    noise = [rng.normal(0, 0.1, samples).astype(np.float32) for samples in (8_000, 16_000, 24_000)]
    with torch.no_grad():
        inputs = [extract_features(feature_extractor(name), [waveform]) for waveform in noise]
        logits = torch.cat([model(**item).logits for item in inputs])
        classifier = getattr(model.classifier, "dense", model.classifier)  # AST's head holds its layer
        classifier.weight /= (logits - logits.mean(0)).std()
        classifier.bias -= model(**inputs[0]).logits[0]
    return model


def feature_extractor(name):
    return default_feature_extractor(CONFIGS[name]())
