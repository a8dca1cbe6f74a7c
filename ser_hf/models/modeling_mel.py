"""The mel model: waveform -> log-mel or MFCC features -> CNN, CRNN or LSTM -> pooling -> logits.

It is trained from scratch and computes its features itself, so it takes `input_values` like wav2vec2 does. Padding
changes nothing: each layer is told which frames are real, and neither normalises over, convolves nor pools the rest.

Shapes: B batch, T samples, F frames (halved by every convolution block), M mel bins or coefficients, K feature
maps (1 for mel; 3 for MFCC: static, first and second difference), D hidden, C classes.
"""

import math

import torch
from torch import nn
from torch.nn import functional
from transformers import AutoConfig, AutoModelForAudioClassification, PreTrainedModel
from transformers import initialization as init
from transformers.audio_utils import mel_filter_bank
from transformers.modeling_outputs import SequenceClassifierOutput

from .configuration_mel import MelConfig

FLOOR = 1e-10  # power under which a mel band counts as silent; float32 audio in [-1, 1]


class MelFeatures(nn.Module):
    """Compute standardised features of the real frames; the others are zero."""

    def __init__(self, config: MelConfig):
        super().__init__()
        self.config = config
        filters = mel_filter_bank(
            config.n_fft // 2 + 1,
            config.n_mels,
            config.fmin,
            config.fmax,
            config.sampling_rate,
            norm="slaney",
            mel_scale="slaney",  # both as librosa has them
        )
        # Persistent, because from_pretrained builds on the meta device: what is not in the checkpoint becomes NaN.
        self.register_buffer("window", torch.hann_window(config.win_length))
        self.register_buffer("filters", torch.from_numpy(filters.T).float().contiguous())  # (M, n_fft / 2 + 1)
        if config.features == "mfcc":
            self.register_buffer("dct", _dct_matrix(config.n_mfcc, config.n_mels))
            self.register_buffer("slope", torch.arange(-2.0, 3.0) / 10)  # regression over 5 frames, per frame

    def forward(self, waveform: torch.Tensor, samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return features ``(B, K, M, F)`` and the mask of real frames ``(B, F)``.

        Args:
            waveform: ``(B, T)``, real samples first.
            samples: ``(B,)``, real samples of each row.
        """
        # Zeros after the end, as the centred transform of a single utterance has them there.
        waveform = waveform.float() * _first(samples, waveform.shape[1])
        with torch.autocast(waveform.device.type, enabled=False):  # powers overflow in half precision
            spectrum = torch.stft(
                waveform,
                self.config.n_fft,
                self.config.hop_length,
                self.config.win_length,
                self.window.float(),
                pad_mode="constant",
                return_complex=True,
            )
            power = torch.view_as_real(spectrum).square().sum(-1)  # (B, n_fft / 2 + 1, F)
            features = (self.filters.float() @ power).clamp(min=FLOOR).log()
            mask = _first(1 + samples // self.config.hop_length, features.shape[-1])
            if self.config.features == "mel":
                return _standardise(features, mask)[:, None], mask
            static = _standardise(self.dct.float() @ features, mask)
            delta = _standardise(self._slope(static), mask)
            return torch.stack([static, delta, _standardise(self._slope(delta), mask)], 1), mask

    def _slope(self, features: torch.Tensor) -> torch.Tensor:
        batch, bins, frames = features.shape
        rows = features.reshape(batch * bins, 1, frames)
        return functional.conv1d(rows, self.slope.float()[None, None], padding=2).reshape(features.shape)


def _dct_matrix(coefficients: int, bins: int) -> torch.Tensor:
    """Return the orthonormal DCT-II, ``(coefficients, bins)``."""
    order = torch.arange(float(coefficients))[:, None]
    matrix = torch.cos(math.pi / bins * (torch.arange(float(bins)) + 0.5) * order) * math.sqrt(2 / bins)
    return torch.where(order == 0, matrix / math.sqrt(2), matrix)


def _first(counts: torch.Tensor, length: int) -> torch.Tensor:
    """Return a mask ``(B, length)``, true for the first ``counts (B,)`` of each row."""
    return torch.arange(length, device=counts.device) < counts[:, None]


def _standardise(features: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Give each bin of ``(B, M, F)`` zero mean and unit deviation over the real frames of its utterance."""
    mask = mask[:, None]
    count = mask.sum(-1, keepdim=True)
    centred = (features - (features * mask).sum(-1, keepdim=True) / count) * mask
    return centred / (centred.square().sum(-1, keepdim=True) / count + 1e-5).sqrt()  # silence stays zero


class SpecAugment(nn.Module):
    """Set random spans of frames and of bins to zero, their mean, in training."""

    def __init__(self, config: MelConfig):
        super().__init__()
        self.config = config

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features ``(B, K, M, F)``, masked alike in all K maps."""
        if not (self.training and self.config.apply_spec_augment):
            return features
        batch, _, bins, frames = features.shape
        config, device = self.config, features.device
        time = _spans(batch, frames, config.mask_time_prob, config.mask_time_length, device)
        feature = _spans(batch, bins, config.mask_feature_prob, config.mask_feature_length, device)
        return features.masked_fill(time[:, None, None] | feature[:, None, :, None], 0.0)


def _spans(batch: int, size: int, prob: float, length: int, device: torch.device) -> torch.Tensor:
    """Return a mask ``(batch, size)`` of spans that start anywhere; utterances shorter than a span are no trap."""
    starts = (torch.rand(batch, 1, size, device=device) < prob / length).float()
    return functional.max_pool1d(functional.pad(starts, (length - 1, 0)), length, stride=1)[:, 0].bool()


class MaskedBatchNorm(nn.BatchNorm2d):
    """Take the training statistics over real frames only; padded frames must be zero on entry."""

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return ``(B, D, M, F)`` normalised; `mask` is ``(B, F)``."""
        if not self.training:
            return super().forward(hidden_states)
        hidden_states = hidden_states.float()
        count = mask.sum() * hidden_states.shape[2]
        mean = hidden_states.sum((0, 2, 3)) / count
        variance = (hidden_states.square().sum((0, 2, 3)) / count - mean.square()).clamp(min=0)
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
            self.running_var.lerp_(variance.to(self.running_var), self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight * (variance + self.eps).rsqrt()
        return hidden_states * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]


class ConvBlock(nn.Module):
    """Convolve with stride 2, normalise, rectify."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, bias=False)
        self.norm = MaskedBatchNorm(out_channels)

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``(B, D, M / 2, F / 2)`` and its mask, both rounded up."""
        mask = mask[:, ::2]  # frame f is centred on frame 2 f of the input
        padding = ~mask[:, None, None]
        hidden_states = self.norm(self.conv(hidden_states).masked_fill(padding, 0.0), mask)
        return hidden_states.relu().masked_fill(padding, 0.0), mask


class ConvEncoder(nn.Module):
    """Stack convolution blocks and project each frame."""

    def __init__(self, config: MelConfig, maps: int, bins: int):
        super().__init__()
        channels = [maps, *config.conv_channels]
        self.blocks = nn.ModuleList(map(ConvBlock, channels[:-1], channels[1:]))
        for _ in self.blocks:
            bins = (bins + 1) // 2
        self.projection = nn.Linear(channels[-1] * bins, config.hidden_size)

    def forward(self, features: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``(B, F, D)`` and the mask ``(B, F)`` of the frames that are left."""
        for block in self.blocks:
            features, mask = block(features, mask)
        return self.projection(features.flatten(1, 2).transpose(1, 2)).relu(), mask


class BidirectionalRecurrent(nn.Module):
    """Run recurrent layers in both directions over the real frames.

    Reversing each utterance within its length keeps padding out of the backward direction. On CPU this is up to
    ten times faster than packed sequences, which miss the fused kernels, and it has no loop to export.
    """

    def __init__(self, layer: type[nn.RNNBase], in_size: int, config: MelConfig):
        super().__init__()
        sizes = [in_size] + [config.hidden_size] * (config.num_recurrent_layers - 1)
        half = config.hidden_size // 2
        self.forwards = nn.ModuleList(layer(size, half, batch_first=True) for size in sizes)
        self.backwards = nn.ModuleList(layer(size, half, batch_first=True) for size in sizes)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``(B, F, D)`` and the mask ``(B, F)`` as given."""
        position = torch.arange(mask.shape[1], device=mask.device)
        reverse = torch.where(mask, mask.sum(-1, keepdim=True) - 1 - position, position)[..., None]
        for number, (forward, backward) in enumerate(zip(self.forwards, self.backwards, strict=True)):
            if number:
                hidden_states = self.dropout(hidden_states)
            backward_states = backward(torch.take_along_dim(hidden_states, reverse, 1))[0]
            backward_states = torch.take_along_dim(backward_states, reverse, 1)
            hidden_states = torch.cat([forward(hidden_states)[0], backward_states], -1)
        return hidden_states, mask


class AttentiveStatistics(nn.Module):
    """Pool the real frames into a weighted mean and deviation.

    Source: Okabe et al. 2018, Attentive Statistics Pooling for Deep Speaker Embedding.
    """

    def __init__(self, hidden_size: int):
        super().__init__()
        self.attention = nn.Sequential(
            nn.Linear(hidden_size, hidden_size // 2), nn.Tanh(), nn.Linear(hidden_size // 2, 1)
        )

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return ``(B, 2 D)`` from ``(B, F, D)`` and the mask ``(B, F)``."""
        scores = self.attention(hidden_states).float().masked_fill(~mask[..., None], -torch.inf)
        weights = scores.softmax(1)  # (B, F, 1)
        mean = (weights * hidden_states).sum(1)
        variance = (weights * (hidden_states - mean[:, None]).square()).sum(1)
        return torch.cat([mean, (variance + 1e-5).sqrt()], -1)  # no infinite slope where frames are alike


class MelForAudioClassification(PreTrainedModel):
    """Classify utterances by features that the model computes itself."""

    config_class = MelConfig
    main_input_name = "input_values"

    def __init__(self, config: MelConfig):
        super().__init__(config)
        maps, bins = (1, config.n_mels) if config.features == "mel" else (3, config.n_mfcc)
        self.features = MelFeatures(config)
        self.spec_augment = SpecAugment(config)
        self.convolutions = ConvEncoder(config, maps, bins) if config.encoder != "lstm" else None
        self.recurrent = None
        if config.encoder != "cnn":
            lstm = config.encoder == "lstm" or config.recurrent == "lstm"
            in_size = maps * bins if self.convolutions is None else config.hidden_size
            self.recurrent = BidirectionalRecurrent(nn.LSTM if lstm else nn.GRU, in_size, config)
        self.pooling = AttentiveStatistics(config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.projector = nn.Linear(2 * config.hidden_size, config.hidden_size)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Conv2d):
            init.kaiming_uniform_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.RNNBase):
            for name, parameter in module.named_parameters():
                (init.zeros_ if "bias" in name else init.xavier_uniform_)(parameter)
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
            attention_mask: ``(B, T)``, 1 for real samples; None: all are real.
            labels: ``(B,)`` classes, or ``(B, C)`` shares of each class.
            return_dict: Whether to return an output object, not a tuple; None: as the configuration says.
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(input_values)
        features, mask = self.features(input_values, attention_mask.sum(-1).long())
        hidden_states = self.spec_augment(features).to(self.classifier.weight.dtype)
        if self.convolutions is not None:
            hidden_states, mask = self.convolutions(hidden_states, mask)
        else:
            hidden_states = hidden_states.flatten(1, 2).transpose(1, 2)  # (B, F, K M)
        if self.recurrent is not None:
            hidden_states, mask = self.recurrent(hidden_states, mask)
        pooled = self.pooling(hidden_states, mask).to(self.classifier.weight.dtype)
        logits = self.classifier(self.dropout(self.projector(self.dropout(pooled)).relu()))
        loss = None if labels is None else functional.cross_entropy(logits, labels)
        output = SequenceClassifierOutput(loss=loss, logits=logits)
        return_dict = self.config.return_dict if return_dict is None else return_dict
        return output if return_dict else output.to_tuple()


MelConfig.register_for_auto_class()
MelForAudioClassification.register_for_auto_class("AutoModelForAudioClassification")
# A copy inside a checkpoint is found through auto_map; registered, it would serve every later mel checkpoint.
if not __name__.startswith("transformers_modules."):
    AutoConfig.register("mel", MelConfig, exist_ok=True)
    AutoModelForAudioClassification.register(MelConfig, MelForAudioClassification, exist_ok=True)
