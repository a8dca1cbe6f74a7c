"""The file of a head for known voices, beside the weights of a checkpoint."""

import os

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ser_hf.cache import whole_file
from ser_hf.foreign_files import check_file
from ser_hf.heads.voice import VoiceHead

VOICE = "voice.safetensors"
NUMBERS = ("clips", "temperature", "spread")


def save_voice_head(head: VoiceHead, folder: str | os.PathLike) -> None:
    """Write `VOICE` into the folder of a checkpoint."""
    with whole_file(os.path.join(folder, VOICE)) as partial:
        save_file(head.arrays(), partial)


def load_voice_head(path: str | os.PathLike) -> VoiceHead:
    """Read the file of a head for known voices.

    Raises:
        ValueError: If the file is damaged, or its arrays do not belong together.
    """
    try:
        arrays = {name: values.astype(np.float64) for name, values in load_file(check_file(path)).items()}
        head = VoiceHead(**arrays | {name: arrays[name].item() for name in NUMBERS})  # type: ignore[arg-type]
    except (SafetensorError, TypeError, AttributeError, KeyError, ValueError) as error:
        raise ValueError(f"'{path}' is damaged or of another version: {error}. Train the model again.") from error
    inputs, emotions, size = head.mean.size, *head.centres.reshape(len(head.centres), -1).shape
    shapes = {
        "deviation": (inputs,), "weight": (size, inputs), "bias": (size,), "offsets": (size, size),
        "interactions": (size, size), "voices": (len(head.voices), inputs),
    }  # fmt: skip
    wrong = [name for name, shape in shapes.items() if np.shape(getattr(head, name)) != shape]
    wrong += [name for name, values in vars(head).items() if not np.isfinite(values).all()]
    wrong += [name for name in ("deviation", "clips", "temperature") if np.min(getattr(head, name)) <= 0]
    if wrong or size != emotions - 1:
        raise ValueError(f"'{path}': expected finite arrays that belong together, found others: {', '.join(wrong)}.")
    return head
