"""Choose how audio is preprocessed for a checkpoint: as in the stock pipeline, in windows, or as recommended."""

import math

from ser_hf.data.hearing import RAW, Hearing, read_hearing
from ser_hf.foreign_files import read_json
from ser_hf.serving.checkpoint_files import find_file
from ser_hf.serving.choices import PREPROCESSINGS

KEY = "recommended_preprocessing"  # of config.json


def check_choice(choice: str) -> None:
    """Check the name of a preprocessing.

    Raises:
        ValueError: If it is not one of `PREPROCESSINGS`.
    """
    if choice not in PREPROCESSINGS:
        raise ValueError(f"preprocessing: expected one of {list(PREPROCESSINGS)}, found {choice!r}.")


def read_preprocessing(name: str, choice: str, *, context: float = math.inf) -> Hearing:
    """Return the preprocessing of a checkpoint; for a probe always the one in its head.json.

    Args:
        name: Folder, or id on the Hub.
        choice: "pipeline", "windows" or "recommended", see `EmotionClassifier.from_pretrained`.
        context: Longest input of the model in seconds; infinite if there is no limit.

    Raises:
        ValueError: If the choice is unknown, or the recommendation in config.json is missing or invalid.
    """
    check_choice(choice)
    if head := find_file(name, "head.json"):
        found = read_hearing(read_json(head).get("features"), f"features in '{head}'")
        return found._replace(max_duration=min(found.max_duration, context))
    if choice == "pipeline":
        return RAW
    if choice == "windows":
        return Hearing(max_duration=context) if math.isfinite(context) else Hearing()
    found = _read_recommended(name)
    return found._replace(max_duration=min(found.max_duration, context))


def _read_recommended(name: str) -> Hearing:
    path = find_file(name, "config.json")
    values = read_json(path).get(KEY) if path else None
    if values is None:
        raise ValueError(
            f"preprocessing: expected {KEY} in config.json of '{name}', found none. Use 'windows' or 'pipeline'."
        )
    if not isinstance(values, dict) or {"speech", *values} != set(Hearing._fields):  # older ones have no speech
        raise ValueError(f"{KEY} of '{name}': expected the keys {sorted(Hearing._fields)}, found {values!r}.")
    return read_hearing(values, f"{KEY} of '{name}'")
