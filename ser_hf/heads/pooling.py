"""Compute the inputs of the linear head of a stock classifier, and their distance from those of the training speech.

Shapes: N utterances, D inputs of the head.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel, SequenceFeatureExtractor

from ser_hf.data.collator import extract_features
from ser_hf.models.padding import evaluation_batch_size

BATCH_SIZE = 8
SMALLEST = 1e-6  # deviation of an input that is constant in training


def has_linear_head(model: PreTrainedModel) -> bool:
    """Return whether a model is linear from its pooled states to its outputs; the mel model rectifies between."""
    layers = getattr(model, "projector", None), getattr(model, "classifier", None)
    return model.config.model_type != "mel" and all(isinstance(layer, nn.Linear) for layer in layers)


@contextmanager
def without_head(model: PreTrainedModel) -> Iterator[None]:
    """Remove the head of a model, so that its logits are the pooled states ``(N, D)``, and restore it at the end."""
    head, training = (model.projector, model.classifier), model.training
    model.projector = model.classifier = nn.Identity()
    model.eval()
    yield
    model.projector, model.classifier = head
    model.train(training)


@torch.inference_mode()
def pooled_states(
    model: PreTrainedModel, feature_extractor: SequenceFeatureExtractor, waveforms: Sequence[np.ndarray]
) -> np.ndarray:
    """Return the mean hidden states ``(N, D)`` that a linear head gets, for waveforms ``(T,)`` at 16 kHz."""
    size, states = evaluation_batch_size(model.config, BATCH_SIZE), []
    with without_head(model):
        for first in range(0, len(waveforms), size):
            inputs = extract_features(feature_extractor, waveforms[first : first + size]).to(model.device)
            states.append(model(**inputs).logits.float().cpu().numpy())
    return np.concatenate(states)


def measure_distances(states: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Return the root mean square ``(N,)`` of states ``(N, D)`` that are standardised; about 1 for training utterances.

    Examples:
        >>> measure_distances(np.array([[1.0, 2.0], [5.0, 2.0]]), np.array([1.0, 0.0]), np.array([1.0, 2.0])).round(2)
        array([0.71, 2.92])
    """
    return np.sqrt(np.mean(((states - mean) / np.maximum(deviation, SMALLEST)) ** 2, axis=1))
