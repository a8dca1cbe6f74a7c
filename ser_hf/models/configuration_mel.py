"""Configuration of the mel model, a small architecture that is trained from scratch.

This file and `modeling_mel.py` import only torch, transformers and each other: `save_pretrained` copies them into the
checkpoint, where they run as remote code without ser_hf.
"""

import difflib

from transformers import PreTrainedConfig

CHOICES = {"features": ["mel", "mfcc"], "encoder": ["cnn", "crnn", "lstm"], "recurrent": ["gru", "lstm"]}


class MelConfig(PreTrainedConfig):
    """Hold the settings of `MelForAudioClassification`.

    The SpecAugment settings have the same names as in `Wav2Vec2Config`.

    Attributes:
        features: "mel" (log-mel spectrogram) or "mfcc" (MFCCs with deltas and delta-deltas).
        encoder: "cnn" (convolutions), "crnn" (convolutions, then recurrent layers) or "lstm" (LSTM layers
            on projected feature frames).
        recurrent: Type of the recurrent layers of the "crnn" encoder, "gru" or "lstm".
        sampling_rate: Sampling rate of the input waveforms in Hz.
        n_fft: Length of the Fourier transform in samples, at least `win_length`.
        win_length: Length of the Hann window in samples.
        hop_length: Distance between frames in samples.
        n_mels: Number of mel bands.
        fmin: Lower edge of the lowest mel band in Hz.
        fmax: Upper edge of the highest mel band in Hz.
        n_mfcc: Number of cepstral coefficients, at most `n_mels`.
        keep_level: Whether to keep level differences between utterances. If False, the features of each utterance are
            first standardised, so that they do not depend on the recording gain.
        mean_normalization: Fraction of the mean of each mel bin over the utterance that is subtracted, from 0 to 1. The
            value 1 is cepstral mean normalisation, which removes the average spectrum of voice, room and microphone.
        trim_ends: Whether the model removes silence at both ends of an utterance, detected from the frame energy.
        conv_channels: Number of channels of each convolution block. Each block halves the mel bins, and the first block
            also halves the frames.
        hidden_size: Size of the encoded frames and of the dense layer; even, for two recurrent directions.
        num_recurrent_layers: Number of bidirectional recurrent layers of the "crnn" and "lstm" encoders.
        dropout: Dropout probability after recurrent layers, before the dense layer and before the classifier.
        apply_spec_augment: Whether to apply SpecAugment in training.
        mask_time_prob: Fraction of the frames to mask, from 0 to 1 (less where spans overlap).
        mask_time_length: Length of a time span in frames.
        mask_feature_prob: Fraction of the mel bins or coefficients to mask, from 0 to 1 (less where bands overlap).
        mask_feature_length: Width of a masked band in bins.

    Raises:
        ValueError: If `features`, `encoder` or `recurrent` is unknown, or a size or fraction is out of range.

    Examples:
        >>> MelConfig(encoder="cnn", n_mels=40).n_mels
        40
    """

    model_type = "mel"

    features: str = "mel"
    encoder: str = "crnn"
    recurrent: str = "gru"
    sampling_rate: int = 16000
    n_fft: int = 512
    win_length: int = 400
    hop_length: int = 160
    n_mels: int = 64
    fmin: float = 50.0
    fmax: float = 7600.0
    n_mfcc: int = 40
    keep_level: bool = False
    mean_normalization: float = 0.0
    trim_ends: bool = False
    conv_channels: list[int] | tuple[int, ...] = (16, 32, 64)
    hidden_size: int = 128
    num_recurrent_layers: int = 2
    dropout: float = 0.3
    apply_spec_augment: bool = True
    mask_time_prob: float = 0.1
    mask_time_length: int = 20
    mask_feature_prob: float = 0.1
    mask_feature_length: int = 8

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        for field, expected in CHOICES.items():
            _check_choice(field, getattr(self, field), expected)
        if self.win_length > self.n_fft:
            raise ValueError(f"Expected n_fft of at least win_length={self.win_length}, found {self.n_fft}.")
        if self.n_mfcc > self.n_mels:
            raise ValueError(f"Expected n_mfcc of at most n_mels={self.n_mels}, found {self.n_mfcc}.")
        if not 0 <= self.mean_normalization <= 1:
            raise ValueError(f"Expected mean_normalization from 0 to 1, found {self.mean_normalization}.")
        if self.hidden_size % 2:
            raise ValueError(f"Expected an even hidden_size (two directions), found {self.hidden_size}.")


def _check_choice(field: str, found: str, expected: list[str]) -> None:
    if found in expected:
        return
    nearest = difflib.get_close_matches(str(found), expected, n=1)
    hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
    raise ValueError(f"Unknown {field} '{found}': expected one of {expected}.{hint}")
