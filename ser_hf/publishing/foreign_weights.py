"""Read the weights of a checkpoint of another toolkit, and map their names to those of the stock class.

Only tensors are unpickled, and no code of a checkpoint is run.
"""

import argparse
import pickle
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING

from ser_hf.foreign_files import check_file
from ser_hf.models.checkpoint_loading import is_head

RENAMED = {".weight_g": ".parametrizations.weight.original0", ".weight_v": ".parametrizations.weight.original1"}


def read_weights(folder: str | Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint by name, memory-mapped from the files.

    The files are `model*.safetensors`, or `pytorch_model*.bin` if there are none of these; `*.ckpt` is added if they
    have no head.

    Args:
        folder: The checkpoint.

    Raises:
        FileNotFoundError: If the folder has none of these files.
        ValueError: If a file is damaged, or is a pickle of more than tensors.
    """
    folder = Path(folder)
    files = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    weights = {key: tensor for path in files for key, tensor in _flatten_tensors(read_state_dict(path))}
    if not any(map(is_head, weights)):
        files = files + (separate := sorted(folder.glob("*.ckpt")))
        weights |= {key: tensor for path in separate for key, tensor in _flatten_tensors(read_state_dict(path))}
    if not files:
        raise FileNotFoundError(f"'{folder}' has no weights: expected model.safetensors or pytorch_model.bin.")
    return weights


def read_state_dict(path: Path) -> dict:
    """Return the content of a weights file: tensors by name, and for s3prl also nested dicts and its arguments.

    Raises:
        ValueError: If the file is damaged, a pointer of Git LFS, or a pickle of more than tensors.
    """
    with check_file(path).open("rb") as file:
        if file.read(24).startswith(b"version https://git-lfs"):
            raise ValueError(f"'{path}' is a pointer of Git LFS, not the weights: run `git lfs pull`.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # s3prl stores its command line with the weights, in a Namespace, which can only hold attributes.
        with torch.serialization.safe_globals([argparse.Namespace]):
            stored = torch.load(path, weights_only=True, map_location="cpu", mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        unsafe = re.search(r"GLOBAL (\S+)", str(error))
        raise ValueError(
            f"'{path}' is a pickle of more than tensors ({unsafe[1] if unsafe else 'not a state dict'}); "
            "loading it could run foreign code, so it was not loaded. Ask its author for safetensors."
        ) from error
    except (SafetensorError, RuntimeError, EOFError) as error:
        raise ValueError(f"'{path}' cannot be read and may be truncated ({error}). Download it again.") from error
    if not isinstance(stored, dict):
        raise ValueError(f"'{path}' contains a {type(stored).__name__}: expected a state dict of tensors by name.")
    return stored


def _flatten_tensors(stored: dict, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    for key, value in stored.items():
        if isinstance(value, torch.Tensor):
            yield f"{prefix}{key}", value
        elif isinstance(value, dict):  # s3prl: {"Downstream": …, "Featurizer": …}
            yield from _flatten_tensors(value, prefix if key == "Downstream" else f"{prefix}{key}.")


def stock_shapes(config: PreTrainedConfig) -> dict[str, torch.Size]:
    """Return the shapes of the weights of the stock audio classifier, by name.

    Raises:
        KeyError: If transformers has no audio classifier of this architecture.
    """
    with torch.device("meta"):  # no memory, no random numbers
        model = MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING[type(config)](config)  # type: ignore[operator]
    return {name: tensor.shape for name, tensor in model.state_dict().items()}


def map_encoder(config: PreTrainedConfig, weights: dict) -> dict[str, str]:
    """Map the names of the encoder's weights in the checkpoint to their names in the stock class."""
    names = {name for name in stock_shapes(config) if not is_head(name)}
    prefix = min(names).partition(".")[0]
    encoder = {}
    for key in weights:
        name = key
        for old, new in RENAMED.items():
            name = name.replace(old, new) if name.endswith(old) else name
        bare = name.removeprefix("model.")  # prefix of the encoder in SpeechBrain and Whisper
        for candidate in (name, bare, f"{prefix}.{bare}"):
            if candidate in names:
                encoder[key] = candidate
    return encoder
