"""Utterance-level embeddings: mean and standard deviation of the hidden states of a frozen pretrained speech encoder.

Both statistics are computed over the real frames only, and no real frame depends on padding, so an utterance has the
same embedding alone and in any mini-batch. Three architectures need special treatment: Whisper has no attention mask
and a fixed context, which is shortened to the longest utterance of the batch; AST pads to a fixed length, as in its
training; SEW processes one utterance at a time.

Shapes: B utterances, L hidden states (one per layer, plus the embedding output), T samples, F frames, D hidden size.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.functional import gelu
from transformers import PreTrainedConfig
from transformers.masking_utils import create_bidirectional_mask
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from ser_hf.models.checkpoint_loading import load_config, load_feature_extractor, load_pretrained
from ser_hf.models.padding import EQUAL_LENGTHS_ONLY, make_padding_aware, real_frames

MIN_DURATION = 0.25  # seconds; shorter utterances are zero-padded, as for the classifiers
WHISPER_FRAME = 320  # samples, 20 ms
AST_WINDOW, AST_HOP = 400, 160  # samples


class Embedder:
    """Compute the mean and standard deviation over time of every layer of a frozen encoder.

    Args:
        model_name_or_path: Hub id or folder of a speech encoder of transformers (wav2vec2, HuBERT, WavLM, UniSpeech,
            data2vec-audio, SEW, wav2vec2-BERT, Whisper, AST …), fine-tuned or not.
        device: Device of the encoder; None for the GPU if there is one, else the CPU.
        dtype: Data type of autocast: float32, or bfloat16 for more speed.
        revision: Branch, tag or commit of the encoder on the Hub; None for the newest commit.
        trust_remote_code: Whether to run the Python code in the checkpoint.

    Raises:
        ValueError: If the checkpoint lacks weights of the encoder or is a mel model.
        OSError: If there is no such checkpoint.
    """

    def __init__(
        self,
        model_name_or_path: str,
        *,
        device: str | torch.device | None = None,
        dtype: torch.dtype = torch.float32,
        revision: str | None = None,
        trust_remote_code: bool = False,
    ):
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.dtype = dtype
        self.config = load_config(model_name_or_path, trust_remote_code, revision)
        if self.config.model_type == "mel":
            raise ValueError(
                f"Expected a pretrained transformer, found the mel model '{model_name_or_path}', which has no layers "
                "for embeddings. Use a speech encoder such as facebook/wav2vec2-base."
            )
        self.feature_extractor = load_feature_extractor(
            model_name_or_path, self.config, trust_remote_code=trust_remote_code
        )
        model = load_pretrained(model_name_or_path, self.config, trust_remote_code)
        make_padding_aware(model)
        self.model = model.to(self.device).eval().requires_grad_(False)  # type: ignore[arg-type]

    @torch.inference_mode()
    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Return ``(B, L, 2, D)`` float32: mean and standard deviation of the embedding output and of each layer.

        Args:
            waveforms: B arrays ``(T,)`` float32 at 16 kHz, processed as one mini-batch. Whisper and AST truncate
                audio to their context (30 s and 10.24 s for the published checkpoints).
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
        # One frame of silence after the longest utterance, so that silence follows every utterance.
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
        """Return the autocast context of the encoder; features are extracted outside of it, in float32."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)


def run_whisper_encoder(encoder: WhisperEncoder, features: torch.Tensor, real: torch.Tensor) -> list[torch.Tensor]:
    """Run a Whisper encoder on a shortened context with an attention mask.

    The stock `forward` requires the full context and ignores masks, but the layers themselves accept both.

    Args:
        encoder: Stock encoder.
        features: Log-mel spectrograms ``(B, M, 2 F)``, M mel bins.
        real: Mask ``(B, F)`` of the real frames.

    Returns:
        L hidden states ``(B, F, D)``: the embedding output, then the output of each layer.
    """
    embedded = gelu(encoder.conv2(gelu(encoder.conv1(features)))).transpose(1, 2)
    hidden_states = [embedded + encoder.embed_positions.weight[: embedded.shape[1]]]
    mask = create_bidirectional_mask(config=encoder.config, inputs_embeds=hidden_states[0], attention_mask=real)
    for layer in encoder.layers:
        hidden_states.append(layer(hidden_states[-1], mask))
    return [*hidden_states[:-1], encoder.layer_norm(hidden_states[-1])]


def real_patches(samples: torch.Tensor, config: PreTrainedConfig) -> torch.Tensor:
    """Return a mask ``(B, 2 + patches)`` of the tokens of AST: true for patches that start in real audio.

    The two special tokens at the beginning belong to no part of the audio and are false.

    Args:
        samples: Number of samples of each utterance ``(B,)``.
        config: Configuration of the AST checkpoint.
    """
    bands = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
    steps = (config.max_length - config.patch_size) // config.time_stride + 1
    spectra = (samples - AST_WINDOW) // AST_HOP + 1
    real = real_frames((spectra - 1) // config.time_stride + 1, steps).repeat(
        1, bands
    )  # tokens are ordered by frequency band, then by time
    return torch.cat([real.new_zeros(len(real), 2), real], 1)


def pool_frames(hidden_states: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Return mean and standard deviation over the real frames, ``(B, 2, D)``.

    Args:
        hidden_states: ``(B, F, D)``.
        real: Mask ``(B, F)`` of the real frames.

    Examples:
        >>> pool_frames(torch.tensor([[[1.0], [3.0], [99.0]]]), torch.tensor([[True, True, False]]))
        tensor([[[2.],
                 [1.]]])
    """
    weights = real[..., None] / real.sum(1)[:, None, None]
    mean = (hidden_states * weights).sum(1)
    variance = ((hidden_states - mean[:, None]).square() * weights).sum(1)
    return torch.stack([mean, variance.sqrt()], 1)
