"""Check that the numbers of a recipe are in their ranges."""

from collections.abc import Mapping


def check_ranges(arguments: object, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Check that each named attribute is in its range (lowest, highest) or None.

    Raises:
        ValueError: If a number is outside its range, infinite or not a number.

    Examples:
        >>> from types import SimpleNamespace
        >>> check_ranges(SimpleNamespace(share=2.0), {"share": (0, 1)})
        Traceback (most recent call last):
        ...
        ValueError: share: expected 0 to 1, found 2.0.
    """
    for name, (low, high) in ranges.items():
        value = getattr(arguments, name)
        if value is not None and not low <= value <= high:  # also if the value is not a number
            raise ValueError(f"{name}: expected {low} to {high}, found {value}.")
