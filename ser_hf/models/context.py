"""The context of a model: the duration in seconds beyond which audio is truncated."""

import math

from torch import nn
from transformers import PreTrainedConfig, WhisperFeatureExtractor, WhisperForAudioClassification

POSITIONS_PER_SECOND = 50  # encoder frames of Whisper
SPECTRA_PER_SECOND = 100  # spectrogram frames of AST


def cut_context(
    model: WhisperForAudioClassification, feature_extractor: WhisperFeatureExtractor, longest: float
) -> None:
    """Shorten the context of a Whisper model from 30 s to a whole number of seconds, in place.

    The position embeddings are sinusoids, of which the first rows are kept, so the result is exact. Longer audio is
    truncated.

    Args:
        model: Whisper classifier.
        feature_extractor: Its feature extractor.
        longest: Duration of the longest utterance in seconds; it is rounded up.
    """
    seconds = min(math.ceil(longest), model.config.max_source_positions // POSITIONS_PER_SECOND)
    positions = seconds * POSITIONS_PER_SECOND
    encoder = model.encoder
    rows = encoder.embed_positions.weight.data[:positions].clone()
    encoder.embed_positions = nn.Embedding.from_pretrained(rows, freeze=True)
    encoder.max_source_positions = model.config.max_source_positions = positions
    feature_extractor.chunk_length = seconds
    feature_extractor.n_samples = seconds * feature_extractor.sampling_rate
    feature_extractor.nb_max_frames = feature_extractor.n_samples // feature_extractor.hop_length


def context_of(config: PreTrainedConfig) -> float:
    """Return the context of a model in seconds, beyond which audio is truncated; infinite if there is no limit."""
    if config.model_type == "whisper":
        return config.max_source_positions / POSITIONS_PER_SECOND
    if config.model_type == "audio-spectrogram-transformer":
        return config.max_length / SPECTRA_PER_SECOND
    return math.inf
