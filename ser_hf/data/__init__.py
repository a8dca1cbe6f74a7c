"""Utterances -> batches."""

from ser_hf.data.audio import audio_duration, decode_audio, load_audio
from ser_hf.data.augment import build_augmentation
from ser_hf.data.batching import Collator, LengthGroupedSampler, SpectrogramMask, extract_features
from ser_hf.data.dataset import build_dataset, prepare_audio, write_problems
from ser_hf.data.splits import check_split, split_by_protocol, split_by_speaker, split_randomly

__all__ = [
    "Collator",
    "LengthGroupedSampler",
    "SpectrogramMask",
    "audio_duration",
    "build_augmentation",
    "build_dataset",
    "check_split",
    "decode_audio",
    "extract_features",
    "load_audio",
    "prepare_audio",
    "split_by_protocol",
    "split_by_speaker",
    "split_randomly",
    "write_problems",
]
