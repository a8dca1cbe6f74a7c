"""Read what the card of a model says about its use and its limits."""

import re

from ser_hf.foreign_files import read_text
from ser_hf.publishing.card import ENVIRONMENT
from ser_hf.serving.checkpoint_files import find_file

TITLES = ("Intended use", "Out of scope", "Limits", "Not evaluated")
SECTION = re.compile(rf"^## ({'|'.join(TITLES)})\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
CARD = "README.md"


def describe_limits(name: str) -> str:
    """Return the sections of a model's card about its use and its limits, in Markdown.

    A card that has no section "Out of scope", as those of other tools, gets the one of ser_hf, with the legal notice.

    Args:
        name: Folder, or id on the Hub.
    """
    sections = read_sections(name)
    limits = "The model has no card that describes them: its scores are unknown."
    own = ENVIRONMENT.get_template("out_of_scope.md").render().removeprefix("## Out of scope\n").strip()
    shown = {"Out of scope": own} | (sections or {"Limits": limits})
    return "\n\n".join(f"## {title}\n\n{shown[title]}" for title in TITLES if title in shown)


def read_sections(name: str) -> dict[str, str]:
    """Return the texts of the sections of a model's card about its use and its limits, by title.

    Args:
        name: Folder, or id on the Hub.
    """
    path = find_file(name, CARD)
    card = "" if path is None else read_text(path, errors="replace").replace("\r\n", "\n")
    return {match[1]: match[2].strip() for match in SECTION.finditer(card)}
