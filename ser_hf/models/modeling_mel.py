"""The mel model: waveform -> log-mel or MFCC features -> CNN, CRNN or LSTM -> pooling -> logits.

The model is trained from scratch and computes its features itself, so its input is `input_values`, as for wav2vec2.
Padding does not change the logits: every layer uses a mask of the real frames and ignores padded frames.

Shapes: B batch, T samples, F frames (halved by the first convolution block), M mel bins or coefficients, K maps
(1 for mel; 3 for MFCC: coefficients, deltas and delta-deltas), D hidden size, C classes.
"""

import math

import torch
from torch import nn
from torch.nn import functional
from transformers import AutoConfig, AutoModelForAudioClassification, PreTrainedModel
from transformers.audio_utils import mel_filter_bank
from transformers.modeling_outputs import SequenceClassifierOutput

from .configuration_mel import MelConfig

FLOOR = 1e-10  # power below which a mel band counts as silent, for audio in [-1, 1]
# Speech detection as in ser_hf/data/silence.py, which documents the thresholds, but on the mel spectrogram.
SMOOTHING = 0.05  # seconds
ABOVE_FLOOR, BELOW_LOUD, LEAST_SPAN = 2.0, 35.0, 6.0  # dB
MARGIN = 0.1  # seconds kept before and after speech


class MelFeatures(nn.Module):
    """Compute log-mel or MFCC features, with each bin normalised over the training corpus; padded frames are zero."""

    window: torch.Tensor
    filters: torch.Tensor
    dct: torch.Tensor  # of MFCC only, as is the slope
    slope: torch.Tensor

    def __init__(self, config: MelConfig):
        super().__init__()
        self.config = config
        band = config.n_fft // 2 + 1, config.n_mels, config.fmin, config.fmax, config.sampling_rate
        filters = mel_filter_bank(*band, norm="slaney", mel_scale="slaney")  # librosa's defaults
        # Persistent buffers: from_pretrained builds the model on the meta device, so buffers must be in the checkpoint.
        self.register_buffer("window", torch.hann_window(config.win_length))
        self.register_buffer("filters", torch.from_numpy(filters.T.copy()).float())  # (M, n_fft / 2 + 1)
        if config.features == "mfcc":
            self.register_buffer("dct", _dct_matrix(config.n_mfcc, config.n_mels))
            self.register_buffer("slope", torch.arange(-2.0, 3.0) / 10)  # weights of a linear regression over 5 frames
        self.maps, self.bins = (1, config.n_mels) if config.features == "mel" else (3, config.n_mfcc)
        self.norm = MaskedBatchNorm(self.maps * self.bins)

    def forward(self, waveform: torch.Tensor, samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return features ``(B, K, M, F)`` and a mask ``(B, F)`` of the real frames.

        Args:
            waveform: ``(B, T)``, padded on the right.
            samples: Number of real samples of each row ``(B,)``.
        """
        mask = _first(1 + samples // self.config.hop_length, 1 + waveform.shape[1] // self.config.hop_length)
        with torch.autocast(waveform.device.type, enabled=False):  # power values overflow in half precision
            # Padding is set to zero, as in the centred Fourier transform of a single utterance.
            features = self._log_mel(waveform.float() * _first(samples, waveform.shape[1])) * mask[:, None]
            if self.config.trim_ends:
                speech = find_loud_frames(features, mask, self.config.sampling_rate / self.config.hop_length)
                features, mask = _cut(features, *speech)
            if not self.config.keep_level:
                features = _level_off(features, mask)
            features = features - self.config.mean_normalization * _bin_means(features, mask)
            if self.config.features == "mfcc":
                static = self.dct.float() @ features
                delta = _slope(static, self.slope.float()) * mask[:, None]
                features = torch.cat([static, delta, _slope(delta, self.slope.float())], 1)
            features = (features * mask[:, None]).to(self.norm.weight.dtype)[:, :, None]  # (B, K M, 1, F)
            features = self.norm(features, mask).unflatten(1, (self.maps, self.bins)).squeeze(3)
        return features.masked_fill(~mask[:, None, None], 0.0), mask

    def _log_mel(self, waveform: torch.Tensor) -> torch.Tensor:
        """Return the log of the mel power relative to `FLOOR`, ``(B, M, F)``; silence is zero."""
        sizes = self.config.n_fft, self.config.hop_length, self.config.win_length, self.window.float()
        spectrum = torch.stft(waveform, *sizes, pad_mode="constant", return_complex=True)
        power = torch.view_as_real(spectrum).square().sum(-1)  # (B, n_fft / 2 + 1, F)
        return ((self.filters.float() @ power).clamp(min=FLOOR) / FLOOR).log()


@torch.no_grad()
def find_loud_frames(
    features: torch.Tensor, mask: torch.Tensor, frames_per_second: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the speech in each utterance by its energy, including a margin of 0.1 s on both sides.

    A frame is speech if its energy is above the noise floor of the utterance and not far below its loud frames. If no
    frame stands out, the whole utterance counts as speech.

    Args:
        features: Log mel power ``(B, M, F)``.
        mask: Mask of the real frames ``(B, F)``.
        frames_per_second: Frame rate in Hz.

    Returns:
        First frame of speech ``(B,)``, and number of frames from there to the last frame of speech ``(B,)``.
    """
    width = 2 * round(SMOOTHING * frames_per_second / 2) + 1  # frames, odd
    power = functional.avg_pool1d(features.exp().sum(1, keepdim=True), width, 1, width // 2)[:, 0]  # (B, F)
    levels = (10 * power.log10()).masked_fill(~mask, torch.nan)
    floor, loud = levels.nanquantile(levels.new_tensor([0.05, 0.99]), -1, keepdim=True)  # (B, 1) each
    speech = (levels > torch.maximum(floor + ABOVE_FLOOR, loud - BELOW_LOUD)) | (mask & (loud - floor < LEAST_SPAN))
    frames, margin = mask.sum(-1), round(MARGIN * frames_per_second)
    first = (speech.int().argmax(-1) - margin).clamp(min=0)
    last = (mask.shape[1] - 1 - speech.flip(-1).int().argmax(-1) + margin).minimum(frames - 1)
    return first, last - first + 1


def _cut(features: torch.Tensor, first: torch.Tensor, counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return `counts` frames of each row of ``(B, M, F)``, starting at `first` and zero-padded, and their mask."""
    longest = int(counts.max())
    position = first[:, None] + torch.arange(longest, device=first.device)
    mask = _first(counts, longest)
    kept = torch.take_along_dim(features, position.clamp(max=features.shape[-1] - 1)[:, None], -1)
    return kept * mask[:, None], mask


def _dct_matrix(coefficients: int, bins: int) -> torch.Tensor:
    """Return the orthonormal DCT-II, ``(coefficients, bins)``."""
    order = torch.arange(float(coefficients))[:, None]
    matrix = torch.cos(math.pi / bins * (torch.arange(float(bins)) + 0.5) * order) * math.sqrt(2 / bins)
    return torch.where(order == 0, matrix / math.sqrt(2), matrix)


def _first(counts: torch.Tensor, length: int) -> torch.Tensor:
    """Return a mask ``(B, length)``, true for the first ``counts (B,)`` of each row."""
    return torch.arange(length, device=counts.device) < counts[:, None]


def _level_off(features: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Standardise ``(B, M, F)`` of each utterance to zero mean and unit variance over all bins and real frames."""
    count = (mask.sum(-1) * features.shape[1])[:, None, None]
    centred = (features - features.sum((1, 2), keepdim=True) / count) * mask[:, None]
    return centred / (centred.square().sum((1, 2), keepdim=True) / count + 1e-5).sqrt()  # 1e-5: silence stays zero


def _bin_means(features: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean of each bin over the real frames, repeated for these frames, and 0 for padding, ``(B, M, F)``."""
    return (features.sum(-1) / mask.sum(-1)[:, None])[..., None] * mask[:, None]


def _slope(features: torch.Tensor, taps: torch.Tensor) -> torch.Tensor:
    """Return the change per frame (delta) of each bin, ``(B, M, F)``."""
    return functional.conv1d(features.flatten(0, 1)[:, None], taps[None, None], padding=2).view_as(features)


def _spans(batch: int, size: int, prob: float, length: int, device: torch.device) -> torch.Tensor:
    """Return a mask ``(batch, size)`` of random spans, which may extend beyond the end."""
    starts = (torch.rand(batch, 1, size, device=device) < prob / length).float()
    return functional.max_pool1d(functional.pad(starts, (length - 1, 0)), length, stride=1)[:, 0].bool()


class MaskedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation with training statistics over real frames only; padded frames of the input must be zero."""

    running_mean: torch.Tensor
    running_var: torch.Tensor
    momentum: float

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Return the normalised hidden states ``(B, D, M, F)``; `mask` ``(B, F)`` is true for real frames."""
        if not self.training:
            return super().forward(hidden_states)
        hidden_states = hidden_states.float()
        count = mask.sum() * hidden_states.shape[2]
        mean = hidden_states.sum((0, 2, 3)) / count
        variance = (hidden_states.square().sum((0, 2, 3)) / count - mean.square()).clamp(min=0)
        self.running_mean.lerp_(mean.detach().to(self.running_mean), self.momentum)
        self.running_var.lerp_(variance.detach().to(self.running_var), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return hidden_states * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]


class ConvEncoder(nn.Module):
    """Apply blocks of convolution, batch norm and ReLU, then a linear projection of each frame.

    Each block halves the bins, and the first block also halves the frames.
    """

    def __init__(self, config: MelConfig, maps: int, bins: int):
        super().__init__()
        sizes = list(zip([maps, *config.conv_channels], config.conv_channels, strict=False))
        strides = [(2, 2)] + [(2, 1)] * (len(sizes) - 1)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(*size, 3, stride, padding=1, bias=False) for size, stride in zip(sizes, strides, strict=True)
        )
        self.norms = nn.ModuleList(MaskedBatchNorm(channels) for _, channels in sizes)
        width = config.conv_channels[-1] * math.ceil(bins / 2 ** len(sizes))
        self.projection = nn.Linear(width, config.hidden_size)

    def forward(self, features: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return hidden states ``(B, F, D)`` and their mask ``(B, F)``, where F is half the number of input frames."""
        mask = mask[:, ::2]  # frame f is centred on frame 2 f of the input
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            padding = ~mask[:, None, None]
            # Padding is set to zero before the norm (for its statistics) and after it (for the next convolution).
            features = norm(convolution(features).masked_fill(padding, 0.0), mask).relu()
            features = features.masked_fill(padding, 0.0)
        return self.projection(features.flatten(1, 2).transpose(1, 2)).relu(), mask


class FrameEncoder(nn.Module):
    """Apply a linear projection to each feature frame."""

    def __init__(self, config: MelConfig, maps: int, bins: int):
        super().__init__()
        self.projection = nn.Linear(maps * bins, config.hidden_size)

    def forward(self, features: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return hidden states ``(B, F, D)`` and the unchanged mask ``(B, F)``."""
        return self.projection(features.flatten(1, 2).transpose(1, 2)), mask


class BidirectionalRecurrent(nn.Module):
    """Apply bidirectional recurrent layers with residual connections and pre-layer normalisation to the real frames."""

    def __init__(self, layer: type[nn.GRU] | type[nn.LSTM], config: MelConfig):
        super().__init__()
        layers, size = range(config.num_recurrent_layers), config.hidden_size
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in layers)
        self.forwards = nn.ModuleList(layer(size, size // 2, batch_first=True) for _ in layers)
        self.backwards = nn.ModuleList(layer(size, size // 2, batch_first=True) for _ in layers)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return hidden states ``(B, F, D)`` and the unchanged mask ``(B, F)``."""
        position = torch.arange(mask.shape[1], device=mask.device)
        # Reverse each row within its length. Packed sequences would do the same, but without the fused CPU kernels.
        reverse = torch.where(mask, mask.sum(-1, keepdim=True) - 1 - position, position)[..., None]
        for norm, forward, backward in zip(self.norms, self.forwards, self.backwards, strict=True):
            normalised = norm(hidden_states)
            backward_states = backward(torch.take_along_dim(normalised, reverse, 1))[0]
            both = [forward(normalised)[0], torch.take_along_dim(backward_states, reverse, 1)]
            hidden_states = hidden_states + self.dropout(torch.cat(both, -1))
        return hidden_states, mask


class AttentiveStatistics(nn.Module):
    """Pool the real frames by an attention-weighted mean and standard deviation.

    Source: Okabe et al. 2018, Attentive Statistics Pooling for Deep Speaker Embedding, https://arxiv.org/abs/1803.10963
    """

    def __init__(self, size: int):
        super().__init__()
        self.attention = nn.Sequential(nn.Linear(size, size // 2), nn.Tanh(), nn.Linear(size // 2, 1))

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return ``(B, 2 D)`` from hidden states ``(B, F, D)`` and the mask ``(B, F)`` of the real frames."""
        scores = self.attention(hidden_states).float().masked_fill(~mask[..., None], -torch.inf)
        weights = scores.softmax(1)  # (B, F, 1)
        mean = (weights * hidden_states).sum(1)
        variance = (weights * (hidden_states - mean[:, None]).square()).sum(1)
        return torch.cat([mean, (variance + 1e-5).sqrt()], -1)  # avoids an infinite gradient if all frames are equal


class MelForAudioClassification(PreTrainedModel):
    """Classify waveforms with a network that is trained from scratch and includes the feature extraction.

    Args:
        config: Sizes and settings.

    Examples:
        >>> model = MelForAudioClassification(MelConfig(num_labels=4)).eval()
        >>> model(torch.zeros(2, 16_000)).logits.shape
        torch.Size([2, 4])
    """

    config_class = MelConfig
    main_input_name = "input_values"

    def __init__(self, config: MelConfig):
        super().__init__(config)
        self.features = MelFeatures(config)
        frames = FrameEncoder if config.encoder == "lstm" else ConvEncoder
        # Each module takes and returns hidden states and the mask of real frames.
        self.encoder = nn.ModuleList([frames(config, self.features.maps, self.features.bins)])
        if config.encoder != "cnn":
            layer = nn.LSTM if "lstm" in (config.encoder, config.recurrent) else nn.GRU
            self.encoder.append(BidirectionalRecurrent(layer, config))
        self.pooling = AttentiveStatistics(config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.projector = nn.Linear(2 * config.hidden_size, config.hidden_size)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)  # type: ignore[arg-type]
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Conv2d | nn.RNNBase):
            module.reset_parameters()  # default of torch; transformers protects loaded weights
        else:
            super()._init_weights(module)

    def forward(
        self,
        input_values: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        return_dict: bool | None = None,
    ) -> SequenceClassifierOutput | tuple[torch.Tensor, ...]:
        """Return logits ``(B, C)``, and the cross-entropy if `labels` are given.

        Args:
            input_values: Waveforms ``(B, T)`` in [-1, 1] at `config.sampling_rate`, padded on the right.
            attention_mask: ``(B, T)``, 1 for real samples and 0 for padding; None if all samples are real.
            labels: Class indices ``(B,)``, or class weights ``(B, C)``.
            return_dict: Whether to return an output object rather than a tuple; None for the setting in `config`.
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(input_values, dtype=torch.long)
        features, mask = self.features(input_values, attention_mask.sum(-1).long())
        hidden_states = self._spec_augment(features)
        for layer in self.encoder:
            hidden_states, mask = layer(hidden_states, mask)
        pooled = self.pooling(hidden_states, mask).to(self.classifier.weight.dtype)
        logits = self.classifier(self.dropout(self.projector(self.dropout(pooled)).relu()))
        loss = None if labels is None else functional.cross_entropy(logits, labels)
        output = SequenceClassifierOutput(loss=loss, logits=logits)
        as_dict = self.config.return_dict if return_dict is None else return_dict
        return output if as_dict else output.to_tuple()

    def _spec_augment(self, features: torch.Tensor) -> torch.Tensor:
        """Set random spans of frames and bins of ``(B, K, M, F)`` to zero in training, the same in all K maps."""
        config, (batch, _, bins, frames) = self.config, features.shape
        if not (self.training and config.apply_spec_augment):
            return features
        time = _spans(batch, frames, config.mask_time_prob, config.mask_time_length, features.device)
        feature = _spans(batch, bins, config.mask_feature_prob, config.mask_feature_length, features.device)
        return features.masked_fill(time[:, None, None] | feature[:, None, :, None], 0.0)


MelConfig.register_for_auto_class()
MelForAudioClassification.register_for_auto_class("AutoModelForAudioClassification")
# A copy in a checkpoint is found through auto_map. If it were registered, all later mel checkpoints would use it.
if not __name__.startswith("transformers_modules."):
    AutoConfig.register("mel", MelConfig, exist_ok=True)
    AutoModelForAudioClassification.register(MelConfig, MelForAudioClassification, exist_ok=True)
