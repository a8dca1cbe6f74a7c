"""Colours, hatches, markers and lines of all figures, told apart by people with colour blindness and in grey print.

In grey, blue is dark, vermilion and green are medium, and orange and grey are light. Where two of similar lightness
meet, they also differ by a hatch, a marker or a line.

Source: Okabe and Ito 2008, "Color Universal Design", https://jfly.uni-koeln.de/color
"""

from typing import Any

BLUE, VERMILION, GREEN, ORANGE, GREY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#999999"
GENDERS = {"female": ORANGE, "male": BLUE}
UNKNOWN_HATCH = "////"  # of an unknown gender, whose grey is as light as orange


def style_gender(gender: str | None) -> dict[str, Any]:
    """Return colour and hatch of the bars of a gender.

    Examples:
        >>> style_gender("male")
        {'color': '#0072B2'}
    """
    if gender in GENDERS:
        return {"color": GENDERS[gender]}
    return {"color": GREY, "hatch": UNKNOWN_HATCH, "edgecolor": "white", "linewidth": 0}
