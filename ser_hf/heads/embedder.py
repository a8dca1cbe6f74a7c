"""Frozen embeddings: what every layer of a pretrained speech encoder holds on average, utterance by utterance.

Mean and deviation are taken over the real frames only, and no real frame hears the padding, so an utterance has the
same embedding alone and in any batch. Three architectures need their own way there: Whisper has no mask and a fixed
context, which is cut to the batch; AST pads to its own length, as it was trained; SEW is run one by one.

Shapes: B utterances, L layers, T samples, F frames, D hidden.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.functional import gelu
from transformers import PreTrainedConfig
from transformers.masking_utils import create_bidirectional_mask
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from ser_hf.models.backbone import load_config, load_feature_extractor, load_pretrained
from ser_hf.models.padding import EQUAL_LENGTHS_ONLY, make_padding_aware, real_frames

MIN_DURATION = 0.25  # seconds; shorter utterances are followed by silence, as for the classifiers
WHISPER_FRAME = 320  # samples, 20 ms
AST_WINDOW, AST_HOP = 400, 160  # samples


class Embedder:
    """Turn waveforms into the mean and deviation of every layer of a frozen encoder.

    Args:
        model_name_or_path: Hub id or folder of a speech encoder of transformers (wav2vec2, HuBERT, WavLM, UniSpeech,
            data2vec-audio, SEW, wav2vec2-BERT, Whisper, AST …), fine-tuned or not.
        device: Where the encoder runs; None for the GPU if there is one.
        dtype: Of the encoder's products, by autocast: float32, or bfloat16 where speed counts.
        trust_remote_code: Allow the checkpoint to bring code of its own.

    Raises:
        ValueError: If the checkpoint lacks weights of the encoder or is not a transformer.
    """

    def __init__(
        self,
        model_name_or_path: str,
        *,
        device: str | torch.device | None = None,
        dtype: torch.dtype = torch.float32,
        trust_remote_code: bool = False,
    ):
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.dtype = dtype
        self.config = load_config(model_name_or_path, trust_remote_code)
        if self.config.model_type == "mel":
            raise ValueError(
                f"Expected a pretrained transformer, found the mel model '{model_name_or_path}', which has no layers "
                "to embed with. Give a speech encoder such as facebook/wav2vec2-base."
            )
        self.feature_extractor = load_feature_extractor(
            model_name_or_path, self.config, trust_remote_code=trust_remote_code
        )
        model = load_pretrained(model_name_or_path, self.config, trust_remote_code)
        make_padding_aware(model)
        self.model = model.to(self.device).eval().requires_grad_(False)  # type: ignore[arg-type]

    @torch.inference_mode()
    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Return ``(B, L, 2, D)`` float32: mean and deviation of the embedding output and of each layer.

        Args:
            waveforms: B arrays ``(T,)`` float32 at 16 kHz, run as one batch. Whisper and AST hear at most their
                context, 30 and 10.24 s for the published ones.
        """
        shortest = round(MIN_DURATION * self.feature_extractor.sampling_rate)
        waveforms = [np.pad(waveform, (0, max(0, shortest - len(waveform)))) for waveform in waveforms]
        if self.config.model_type in EQUAL_LENGTHS_ONLY:
            return np.concatenate([self._embed_batch([waveform]) for waveform in waveforms])
        return self._embed_batch(waveforms)

    def _embed_batch(self, waveforms: list[np.ndarray]) -> np.ndarray:
        samples = torch.tensor([len(waveform) for waveform in waveforms], device=self.device)
        run = self._run_whisper if self.config.model_type == "whisper" else self._run_stock
        hidden_states, real = run(waveforms, samples)
        return torch.stack([pool_frames(layer.float(), real) for layer in hidden_states], 1).cpu().numpy()

    def _run_stock(self, waveforms: list[np.ndarray], samples: torch.Tensor) -> tuple[Sequence, torch.Tensor]:
        inputs = self._extract_features(waveforms, padding=True)
        with self._autocast():
            hidden_states = self.model(**inputs, output_hidden_states=True).hidden_states
        length = hidden_states[0].shape[1]
        if self.config.model_type == "audio-spectrogram-transformer":
            return hidden_states, real_patches(samples, self.config)
        if self.config.model_type in EQUAL_LENGTHS_ONLY:
            return hidden_states, torch.ones(1, length, dtype=torch.bool, device=self.device)
        frames = self.model._get_feat_extract_output_lengths(inputs["attention_mask"].sum(-1))
        return hidden_states, real_frames(frames, length)

    def _run_whisper(self, waveforms: list[np.ndarray], samples: torch.Tensor) -> tuple[Sequence, torch.Tensor]:
        frames = samples.add(WHISPER_FRAME - 1).div(WHISPER_FRAME, rounding_mode="floor")
        # With a frame of silence after the longest, the convolutions end each utterance alike in any batch.
        context = min(int(frames.max()) + 1, self.config.max_source_positions)
        inputs = self._extract_features(waveforms, max_length=context * WHISPER_FRAME)
        real = real_frames(frames, context)
        with self._autocast():
            return run_whisper_encoder(self.model.encoder, inputs["input_features"], real), real

    def _extract_features(self, waveforms: list[np.ndarray], **padding: bool | int) -> dict[str, torch.Tensor]:
        extract: Any = self.feature_extractor
        inputs = extract(waveforms, sampling_rate=extract.sampling_rate, return_tensors="pt", **padding)
        return inputs.to(self.device)

    def _autocast(self) -> torch.autocast:
        """Return the context of the encoder, not of the features: spectrograms stay exact."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)


def run_whisper_encoder(encoder: WhisperEncoder, features: torch.Tensor, real: torch.Tensor) -> list[torch.Tensor]:
    """Return the hidden states of a cut context, each ``(B, F, D)``, in which nobody attends to the padding.

    The stock forward takes a full context and no mask; the layers it is made of take both.

    Args:
        encoder: Stock weights.
        features: Log-mel spectrograms ``(B, M, 2 F)``.
        real: Mask ``(B, F)`` of the real frames.
    """
    embedded = gelu(encoder.conv2(gelu(encoder.conv1(features)))).transpose(1, 2)
    hidden_states = [embedded + encoder.embed_positions.weight[: embedded.shape[1]]]
    mask = create_bidirectional_mask(config=encoder.config, inputs_embeds=hidden_states[0], attention_mask=real)
    for layer in encoder.layers:
        hidden_states.append(layer(hidden_states[-1], mask))
    return [*hidden_states[:-1], encoder.layer_norm(hidden_states[-1])]


def real_patches(samples: torch.Tensor, config: PreTrainedConfig) -> torch.Tensor:
    """Return a mask of AST's tokens ``(B, 2 + patches)``: those that begin in real audio, from ``(B,)`` samples.

    The two tokens in front, which stand for no stretch of audio, are left out.
    """
    bands = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
    steps = (config.max_length - config.patch_size) // config.time_stride + 1
    spectra = (samples - AST_WINDOW) // AST_HOP + 1
    real = real_frames((spectra - 1) // config.time_stride + 1, steps).repeat(1, bands)  # band by band
    return torch.cat([real.new_zeros(len(real), 2), real], 1)


def pool_frames(hidden_states: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Return mean and deviation ``(B, 2, D)`` of ``(B, F, D)`` over the frames that the mask ``(B, F)`` calls real."""
    weights = real[..., None] / real.sum(1)[:, None, None]
    mean = (hidden_states * weights).sum(1)
    variance = ((hidden_states - mean[:, None]).square() * weights).sum(1)
    return torch.stack([mean, variance.sqrt()], 1)
