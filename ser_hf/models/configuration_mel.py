"""Configuration of the mel model, the one architecture that is trained from scratch.

This file and `modeling_mel.py` are a closed island: they import only torch, transformers and each other, as
`save_pretrained` copies them into the checkpoint, where they run as remote code without ser_hf.
"""

import difflib

from transformers import PreTrainedConfig

CHOICES = {"features": ["mel", "mfcc"], "encoder": ["cnn", "crnn", "lstm"], "recurrent": ["gru", "lstm"]}


class MelConfig(PreTrainedConfig):
    """Hold the settings of `MelForAudioClassification`.

    SpecAugment has the names that it has in `Wav2Vec2Config`, so one option serves every architecture.

    Attributes:
        features: "mel" (log-mel spectrogram) or "mfcc" (with first and second differences).
        encoder: "cnn" (convolutions), "crnn" (convolutions, then recurrent layers) or "lstm" (LSTM layers
            on projected feature frames).
        recurrent: Layers of the "crnn" encoder, "gru" or "lstm".
        sampling_rate: Hz of the waveforms that the model takes.
        n_fft: Points of the Fourier transform, at least `win_length`.
        win_length: Samples of the Hann window.
        hop_length: Samples from one frame to the next.
        n_mels: Mel filters between `fmin` and `fmax` Hz.
        n_mfcc: Cepstral coefficients kept, at most `n_mels`.
        keep_level: Whether loudness counts. If not, each utterance is first brought to one level and range,
            so the gain of the microphone changes nothing.
        mean_normalization: Share of each mel bin's own mean over the utterance that is taken off it, from 0 to 1. 1 is
            cepstral mean normalisation: the colour of voice, room and microphone is gone.
        trim_ends: Whether the model leaves out the silence at both ends of an utterance, by the energy in its frames.
        conv_channels: Channels of each convolution block; each halves the mel bins, the first also the frames.
        hidden_size: Width of the encoded frames and of the dense layer; even, for two recurrent directions.
        num_recurrent_layers: Bidirectional recurrent layers of the "crnn" and "lstm" encoders.
        dropout: Share of units dropped between recurrent layers, before the dense layer and the classifier.
        apply_spec_augment: Whether training masks spans of frames and bins.
        mask_time_prob: Share of the frames that is masked, from 0 to 1 (less where spans overlap).
        mask_time_length: Frames per span.
        mask_feature_prob: Share of the mel bins or coefficients that is masked, from 0 to 1.
        mask_feature_length: Bins per span.

    Raises:
        ValueError: If `features`, `encoder` or `recurrent` is unknown, or a size does not fit the others.
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
