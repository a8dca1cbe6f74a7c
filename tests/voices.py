"""Artificial voices, and checkpoints with a head for known voices that was fitted on them."""

import numpy as np
import torch
from architectures import feature_extractor, tiny_model

from ser_hf.data import extract_features
from ser_hf.heads.linear_head import head_inputs
from ser_hf.heads.voice import fit_voice_head
from ser_hf.heads.voice_files import save_voice_head

RATE = 16_000


def say(speaker, emotion, seed, seconds=1.0):
    """Return ``(T,)`` of a tone and noise: pitch and noise are the speaker's, level and trill the emotion's."""
    rng = np.random.default_rng((speaker, emotion, seed))
    times = np.arange(round(seconds * RATE)) / RATE
    pitch = 100 + 37 * speaker + rng.uniform(-5, 5)
    trill = 1 + 0.5 * np.sin(2 * np.pi * (2 + 4 * emotion) * times)
    tone = 0.05 * (1 + emotion) * trill * np.sign(np.sin(2 * np.pi * pitch * times))
    return (tone + 0.002 * (1 + speaker % 5) * rng.standard_normal(len(times))).astype(np.float32)


def write_voice_checkpoint(folder, name):
    """Write a checkpoint with a head for known voices, of eight speakers, and return its folder."""
    model, extractor = tiny_model(name), feature_extractor(name)
    model.config.uncertainty_threshold, model.config.calibration_temperature = 0.5, 1.5
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    rows = [(speaker, emotion, seed) for speaker in range(8) for emotion in range(4) for seed in range(4)]
    inputs = torch.cat([head_inputs(model, extract_features(extractor, [say(*row)])) for row in rows]).numpy()
    save_voice_head(fit_voice_head(inputs, [row[1] for row in rows], [str(row[0]) for row in rows]), folder)
    return folder
