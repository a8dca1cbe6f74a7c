"""Check that a command does not write over the files that it reads."""

import os
from collections.abc import Iterable
from pathlib import Path


def check_outputs(outputs: Iterable[str | os.PathLike], inputs: Iterable[str | os.PathLike]) -> None:
    """Check that the outputs of a command are different files, and none of its inputs.

    Args:
        outputs: Files to write.
        inputs: Files to read; those that do not exist are left out.

    Raises:
        ValueError: If two outputs are one file, or an output is an input.
    """
    read = {_identify(path) for path in inputs if os.path.exists(path)}
    written = set()
    for path in outputs:
        if (file := _identify(path)) in read:
            raise ValueError(f"output: expected another file than those that are read, found '{path}'. Rename it.")
        if file in written:
            raise ValueError(f"output: expected different files, found '{path}' twice. Leave one out.")
        written.add(file)


def _identify(path: str | os.PathLike) -> object:
    """Return what is equal for all names of one file, such as links to it."""
    if not os.path.exists(path):
        return Path(path).resolve()
    file = os.stat(path)
    return file.st_dev, file.st_ino
