"""Choose how audio is preprocessed for a checkpoint: as in the stock pipeline, in windows, or as recommended."""

import json
import math
from pathlib import Path

from ser_hf.data.hearing import RAW, TRIMS, Hearing
from ser_hf.serving.checkpoint_files import find_file
from ser_hf.serving.choices import PREPROCESSINGS

KEY = "recommended_preprocessing"  # of config.json
LONGEST_WINDOW = 86_400  # seconds
MOST_OVERLAP = 0.9


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
        found = _read_fields(json.loads(Path(head).read_text(encoding="utf-8"))["features"])
        return found._replace(max_duration=min(found.max_duration, context))
    if choice == "pipeline":
        return RAW
    if choice == "windows":
        return Hearing(max_duration=context) if math.isfinite(context) else Hearing()
    found = _read_recommended(name)
    return found._replace(max_duration=min(found.max_duration, context))


def _read_recommended(name: str) -> Hearing:
    path = find_file(name, "config.json")
    values = json.loads(Path(path).read_text(encoding="utf-8")).get(KEY) if path else None
    if values is None:
        raise ValueError(
            f"preprocessing: expected {KEY} in config.json of '{name}', found none. Use 'windows' or 'pipeline'."
        )
    keys = set(Hearing._fields)
    if not isinstance(values, dict) or set(values) != keys:
        raise ValueError(f"{KEY} of '{name}': expected the keys {sorted(keys)}, found {values!r}.")
    found = _read_fields(values)
    for key, value, low, high in (
        ("max_duration", found.max_duration, 1, LONGEST_WINDOW),
        ("window_overlap", found.window_overlap, 0, MOST_OVERLAP),
    ):
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"{KEY} of '{name}': {key}: expected {low} to {high}, found {value!r}.")
    if found.trim not in TRIMS:
        raise ValueError(f"{KEY} of '{name}': trim: expected one of {list(TRIMS)}, found {found.trim!r}.")
    return found


def _read_fields(values: dict) -> Hearing:
    return Hearing(**{name: values[name] for name in Hearing._fields if name in values})
