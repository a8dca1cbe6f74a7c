"""Vectors of utterances that some heads can learn."""

import numpy as np

EMOTIONS = ["calm", "happy", "sad"]


def blobs(*, dimensions=20, spread=1.0, offset=0.5, emotions=3, speakers=8, each=9, seed=0):
    """Return vectors around a centre per emotion, moved by an offset per speaker, with labels and speakers."""
    rng = np.random.default_rng(seed)
    labels = np.tile(np.arange(emotions), speakers * each)
    names = np.repeat([f"s{i}" for i in range(speakers)], emotions * each)
    centres = np.random.default_rng(9).normal(size=(emotions, dimensions))  # the same for every seed
    moves = rng.normal(0, offset, (speakers, dimensions)).repeat(emotions * each, 0)
    noise = rng.normal(0, spread, (len(labels), dimensions))
    return (5 + centres[labels] + moves + noise).astype(np.float32), labels, names.tolist()


TRAIN, LABELS, SPEAKERS = blobs()
TEST, TEST_LABELS, TEST_SPEAKERS = blobs(seed=1)
