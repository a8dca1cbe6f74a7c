"""Tiny configurations (random weights) of every architecture behind AutoModelForAudioClassification."""

from transformers import (
    ASTConfig,
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
