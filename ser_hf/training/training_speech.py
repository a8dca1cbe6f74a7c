"""Measure the training speech of a checkpoint, so that recordings can be compared with it later."""

from collections.abc import Sequence

import numpy as np
from datasets import Dataset, DatasetDict
from transformers import PreTrainedModel, SequenceFeatureExtractor

from ser_hf.corpora.spelling import unspell
from ser_hf.data.audio import decode_audio
from ser_hf.data.properties import measure_properties, summarize_properties
from ser_hf.heads.pooling import has_linear_head, measure_distances, pooled_states
from ser_hf.runs.training_speech import EmbeddingRecord, TrainingSpeech

MEASURED = {"train": 300, "validation": 200}  # utterances, drawn at random
DISTANCES = (0.5, 0.95, 0.99)  # quantiles


def describe_training_speech(
    model: PreTrainedModel, feature_extractor: SequenceFeatureExtractor, dataset: DatasetDict, corpora: Sequence[str]
) -> TrainingSpeech:
    """Return the properties of training and validation utterances, and their embeddings if the head is linear.

    The utterances are neither trimmed nor augmented. The distances are those of validation utterances from the training
    utterances, so that they are valid for new speakers.

    Args:
        model: The trained model.
        feature_extractor: Its feature extractor.
        dataset: DatasetDict with "train" and "validation".
        corpora: Names of the corpora.
    """
    waveforms = {part: _decode(dataset[part], count) for part, count in MEASURED.items()}
    both = [waveform for part in waveforms.values() for waveform in part]
    embedding = None
    if has_linear_head(model):
        train, validation = (pooled_states(model, feature_extractor, part) for part in waveforms.values())
        mean, deviation = train.mean(0), train.std(0)
        distances = np.quantile(measure_distances(validation, mean, deviation), DISTANCES)
        embedding = EmbeddingRecord(mean.tolist(), deviation.tolist(), distances.tolist())
    return TrainingSpeech(list(corpora), len(both), summarize_properties(map(measure_properties, both)), embedding)


def _decode(dataset: Dataset, count: int) -> list[np.ndarray]:
    drawn = np.random.default_rng(0).permutation(len(dataset))[:count]
    rows = dataset.select(np.sort(drawn))
    return [decode_audio(unspell(row["audio"]["path"]), start=row["start"], end=row["end"]) for row in rows]
