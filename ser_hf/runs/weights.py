"""Find and hash the files from which a checkpoint is loaded."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from ser_hf.foreign_files import check_file


def weights_of(folder: str | Path) -> list[Path]:
    """Return the safetensors files from which a model is loaded, sorted.

    Raises:
        ValueError: If one is no regular file in the folder.
    """
    return [check_file(path, folder) for path in sorted(Path(folder).glob("model*.safetensors"))]


def hash_weights(folder: str | Path) -> dict[str, str]:
    """Return the SHA-256 of each file of `weights_of`, by its name."""
    return hash_paths(weights_of(folder))


def hash_paths(paths: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of each file, by its name."""
    hashes = {}
    for path in paths:
        with check_file(path).open("rb") as file:
            hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes
