"""From utterances to batches: decoding, splits, datasets, augmentation, collation and corpus checks."""

from ser_hf.data.audio import audio_duration, decode_audio, load_audio
from ser_hf.data.augment import build_augmentation
from ser_hf.data.collator import Collator, extract_features
from ser_hf.data.dataset import build_dataset, prepare_audio
from ser_hf.data.masking import SpectrogramMask
from ser_hf.data.sampler import LengthGroupedSampler
from ser_hf.data.splits import check_split, split_as_given, split_by_protocol, split_by_speaker, split_randomly
from ser_hf.data.summary import read_headers, summarize_corpus
from ser_hf.data.table import write_utterances

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
    "read_headers",
    "split_as_given",
    "split_by_protocol",
    "split_by_speaker",
    "split_randomly",
    "summarize_corpus",
    "write_utterances",
]
