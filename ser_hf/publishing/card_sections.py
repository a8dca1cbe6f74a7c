"""Read what the card of a model says about its use and its limits."""

import re

from ser_hf.foreign_files import read_text
from ser_hf.publishing.card import ENVIRONMENT
from ser_hf.serving.checkpoint_files import find_file

SECTION = re.compile(r"^## (Intended use|Out of scope|Limits|Not evaluated)\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
CARD = "README.md"


def describe_limits(name: str) -> str:
    """Return the sections of a model's card about its use and its limits, in Markdown.

    A card that has no section "Out of scope", as those of other tools, gets the one of ser_hf, with the legal notice.

    Args:
        name: Folder, or id on the Hub.
    """
    path = find_file(name, CARD)
    card = "" if path is None else read_text(path, errors="replace").replace("\r\n", "\n")
    sections = {match[1]: match[0].strip() for match in SECTION.finditer(card)}
    sections.setdefault("Out of scope", ENVIRONMENT.get_template("out_of_scope.md").render().strip())
    if len(sections) == 1:
        sections["Limits"] = "## Limits\n\nThe model has no card that describes them: its scores are unknown."
    return "\n\n".join(sections.values())
