"""Which hearing a checkpoint is served with: the stock pipeline's, windows of long audio, or the recommended one."""

import json
import math
from pathlib import Path

from ser_hf.data.hearing import RAW, TRIMS, Hearing
from ser_hf.serving.backends import find_file
from ser_hf.serving.choices import PREPROCESSINGS

KEY = "recommended_preprocessing"  # of config.json
LONGEST_WINDOW = 86_400  # seconds
MOST_OVERLAP = 0.9


def check_choice(choice: str) -> None:
    """Check the name of a preprocessing.

    Raises:
        ValueError: If it is none of the three.
    """
    if choice not in PREPROCESSINGS:
        raise ValueError(f"preprocessing: expected one of {list(PREPROCESSINGS)}, found {choice!r}.")


def read_preprocessing(name: str, choice: str, *, context: float = math.inf) -> Hearing:
    """Return the preprocessing of a checkpoint; that of a probe is always the one in its head.json.

    Args:
        name: Folder, or id on the Hub.
        choice: "pipeline", "windows" or "recommended", see `EmotionClassifier.from_pretrained`.
        context: Seconds that the model takes at most; infinite where it takes any duration.

    Raises:
        ValueError: If the choice is unknown, or config.json recommends nothing or an invalid value.
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
            f"preprocessing: expected {KEY} in config.json of '{name}', found none. Take 'windows' or 'pipeline'."
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
