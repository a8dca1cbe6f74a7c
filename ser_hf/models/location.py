"""Check that a model exists before torch is imported, which takes seconds."""

import difflib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

HUB_ID = re.compile(r"\w[\w.-]*(/[\w.-]+)?")
TIMEOUT = 5  # seconds


def check_location(name: str | os.PathLike) -> None:
    """Check that a model is a folder, or that its id is in the cache of the Hub or on the Hub.

    Raises:
        FileNotFoundError: If it is neither; the message names the most similar folder.
        ValueError: If it is a file.
    """
    name = os.fspath(name)
    if os.path.isfile(name):
        raise ValueError(f"Expected a model's folder or Hub id, found the file '{name}'. Name its folder.")
    if os.path.isdir(name):
        return
    if not HUB_ID.fullmatch(name):
        raise FileNotFoundError(describe_missing_model(name))
    if reason := _find_fault(name):
        raise FileNotFoundError(f"{describe_missing_model(name)} On the Hub: {reason}.")


def check_checkpoint(name: str | os.PathLike) -> None:
    """Check that a model can be a checkpoint: a folder has config.json, or head.json of a probe.

    Raises:
        FileNotFoundError: If a folder has neither, or for the reasons of `check_location`.
        ValueError: As for `check_location`.
    """
    check_location(name)
    if os.path.isdir(name) and not any(Path(name, file).exists() for file in ("config.json", "head.json")):
        raise FileNotFoundError(
            f"Expected a checkpoint with config.json, found the folder '{name}' without it. Name the folder that a "
            "training wrote."
        )


def check_revision(name: str | None, revision: str | None) -> None:
    """Check that a revision is given for an encoder on the Hub only.

    Raises:
        ValueError: If the encoder is a folder, or there is none.
    """
    if revision is not None and (name is None or os.path.isdir(name)):
        found = "no encoder" if name is None else f"the folder '{name}'"
        raise ValueError(f"revision: expected with the id of an encoder on the Hub, found {found}. Leave it out.")


def commit_of(config: "PreTrainedConfig") -> str | None:
    """Return the commit on the Hub of a configuration from `load_config`; None if it is from a folder or is new."""
    return getattr(config, "_commit_hash", None)


def describe_missing_model(name: str | os.PathLike, expected: str = "a model's Hub id or folder") -> str:
    """Return a message about a missing folder: what was expected, and the most similar folder in the same place."""
    path = Path(name)
    folders = [each.name for each in path.parent.iterdir() if each.is_dir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, folders, n=1)
    hint = f" Did you mean '{path.parent / near[0]}'?" if near else ""
    return f"No folder '{path}' here: expected {expected}.{hint}"


def _find_fault(repo_id: str) -> str | None:
    """Return why a model cannot be loaded from the Hub; None if it is in the cache or on the Hub."""
    import httpx2
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import OfflineModeIsEnabled, RepositoryNotFoundError

    if Path(constants.HF_HUB_CACHE, f"models--{repo_id.replace('/', '--')}").is_dir():
        return None
    try:
        HfApi().model_info(repo_id, timeout=TIMEOUT)
    except RepositoryNotFoundError:
        return "no model has this name, or it is private and you are not logged in (`hf auth login`)"
    except OfflineModeIsEnabled:
        return "this model is not in the cache, and HF_HUB_OFFLINE is set"
    except httpx2.HTTPStatusError:
        return None  # the download reports what is wrong with the Hub
    except httpx2.HTTPError as error:
        return f"it cannot be reached ({error})"
    return None
