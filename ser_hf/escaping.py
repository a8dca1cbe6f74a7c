"""Escape text from outside (labels, speakers, paths, messages) by the rules of the format that it is written into."""

import dataclasses
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

# Characters with a meaning in CommonMark or its tables. An underscore within a word has none.
MARKDOWN = re.compile(r"[\\`*\[\]<>|&~]|(?<!\w)_+|_+(?!\w)|(?<=https):(?=//)|(?<=http):(?=//)|(?<=www)\.|@")
# At the beginning of a line: a list, a title or a quotation.
BLOCK = re.compile(r"\d+(?=[.)](\s|$))|(?=[-+](\s|$)|#|>|(=+|-+)\s*$)")
FORMULA = re.compile(r"'*[=+\-@\t\r]")  # a spreadsheet computes such a cell
# Control characters, line separators, surrogates, and marks that reverse the direction of the text around them.
HIDDEN = ("Cc", "Cs", "Zl", "Zp")
REVERSING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def one_line(text: str) -> str:
    r"""Return a text for one line of a terminal, a log or a subtitle: hidden characters are spelt out.

    Examples:
        >>> print(one_line("angry\x1b[2J\nsad"))
        angry\x1b[2J\x0asad
    """
    return "".join(map(_spell_character, text)) if any(map(_is_hidden, text)) else text


def lines(text: str) -> str:
    """Return a text of several lines for a terminal, like `one_line` for each of them."""
    return "\n".join(one_line(line.replace("\t", " ")) for line in text.split("\n"))


def show(*texts: str, file: TextIO | None = None, flush: bool = False) -> None:
    """Print texts on lines of their own; hidden characters, and those that the encoding lacks, are spelt out."""
    file = file or sys.stdout
    encoding = getattr(file, "encoding", None) or "utf-8"
    text = lines("\n".join(texts))
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=file, flush=flush)


def markdown(text: str) -> str:
    r"""Return a text that Markdown shows as it is, on one line and within a cell of a table.

    Source: CommonMark 0.31, section 2.4, and the tables and links of GitHub's extension.

    Examples:
        >>> print(markdown("a|b <i> [x](y)"))
        a\|b \<i\> \[x\](y)
    """
    text = MARKDOWN.sub(lambda match: "".join(f"\\{character}" for character in match[0]), one_line(text))
    if start := BLOCK.match(text):
        return f"{start[0]}\\{text[start.end() :]}"
    return text


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; the first row is its head, and the cells are escaped already.

    Examples:
        >>> print(markdown_table([["run", "UA"], ["mine", "75.3"]]))
        | run | UA |
        |---|---|
        | mine | 75.3 |
    """
    head, *lines = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|---" * len(rows[0]) + "|", *lines])


def markdown_values(content: Any) -> Any:
    """Return a copy of nested dataclasses, dicts and lists in which all texts are escaped by `markdown`."""
    if isinstance(content, str):
        return markdown(content)
    if dataclasses.is_dataclass(content) and not isinstance(content, type):
        names = [field.name for field in dataclasses.fields(content)]
        return dataclasses.replace(content, **{name: markdown_values(getattr(content, name)) for name in names})
    if isinstance(content, dict):
        return {markdown_values(key): markdown_values(value) for key, value in content.items()}
    return [markdown_values(value) for value in content] if isinstance(content, list | tuple) else content


def cell(value: Any) -> Any:
    """Return a value for a CSV file: an apostrophe precedes a text that a spreadsheet would compute.

    Source: https://owasp.org/www-community/attacks/CSV_Injection

    Examples:
        >>> [cell(value) for value in ("=1+1", "-0.5 dB", "'=x", "sad", -0.5)]
        ["'=1+1", "'-0.5 dB", "''=x", 'sad', -0.5]
    """
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def plain_cell(text: str) -> str:
    """Return the text that `cell` was given.

    Examples:
        >>> [plain_cell(text) for text in ("'=1+1", "''=x", "'quoted'", "sad")]
        ['=1+1', "'=x", "'quoted'", 'sad']
    """
    return text[1:] if text[:1] == "'" and FORMULA.match(text) else text


def cue(text: str) -> str:
    """Return a text for a cue of WebVTT.

    Source: https://www.w3.org/TR/webvtt1/#webvtt-cue-text-span

    Examples:
        >>> cue("<v Me> & you --> here")
        '&lt;v Me&gt; &amp; you --&gt; here'
    """
    return one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def cells(row: Iterable) -> list:
    """Return the values of a row of a CSV file, each escaped by `cell`."""
    return [cell(value) for value in row]


def _is_hidden(character: str) -> bool:
    return character in REVERSING or unicodedata.category(character) in HIDDEN


def _spell_character(character: str) -> str:
    if not _is_hidden(character):
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
