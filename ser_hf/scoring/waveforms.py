"""Decode, degrade and score the waveforms of utterances.

Shapes: N utterances, C outputs.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

from ser_hf.corpora import Utterance
from ser_hf.cpus import usable_cpus
from ser_hf.data import decode_audio
from ser_hf.data.audio import SAMPLING_RATE
from ser_hf.data.sampler import evaluation_order
from ser_hf.serving import EmotionClassifier


def score_utterances(
    classifier: EmotionClassifier,
    utterances: Sequence[Utterance],
    batch_size: int,
    *,
    change: Callable[[int, np.ndarray], np.ndarray] | None = None,
    label: str = "Scoring",
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores ``(N, C)`` of utterances, and their durations ``(N,)`` in seconds after trimming.

    Args:
        classifier: Classifier with its preprocessing.
        utterances: N utterances with durations.
        batch_size: Utterances per batch; those of a batch are decoded and changed in parallel.
        change: Degradation of a waveform ``(T,)``, given the number of the utterance.
        label: Text of the progress bar.
    """
    scores, durations = np.empty((len(utterances), len(classifier.emotions))), np.empty(len(utterances))
    order = evaluation_order([utterance.duration for utterance in utterances])  # type: ignore[misc]

    def load(i: int) -> np.ndarray:
        row = utterances[i]
        waveform = decode_audio(row.path, start=row.start, end=row.end)
        return classifier.trim(change(i, waveform) if change else waveform)

    with ThreadPoolExecutor(usable_cpus()) as threads:
        for first in tqdm(range(0, len(order), batch_size), label, unit="batch", leave=False):
            batch = order[first : first + batch_size]
            waveforms = list(threads.map(load, batch))
            scores[batch] = classifier.score(waveforms, batch_size=batch_size)
            durations[batch] = [len(waveform) / SAMPLING_RATE for waveform in waveforms]
    return scores, durations
