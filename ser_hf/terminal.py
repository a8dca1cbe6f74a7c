"""Print for people: aligned columns, texts as wide as the terminal, and progress bars in terminals only."""

import argparse
import logging
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

from ser_hf.escaping import lines


class ParagraphFormatter(argparse.HelpFormatter):
    """Wrap each paragraph of a description; indented ones, such as commands, stay as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill = super()._fill_text
        paragraphs = text.strip("\n").split("\n\n")
        return "\n\n".join(each if each.startswith(" ") else fill(each, width, indent) for each in paragraphs)


class MessageFormatter(logging.Formatter):
    """Format a log record as its message; hidden characters, of names and labels from outside, are spelt out."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text to print."""
        return lines(super().format(record))


def start_logging() -> None:
    """Print the log messages of ser_hf, and warnings of libraries, on stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(MessageFormatter())
    logging.basicConfig(handlers=[handler])
    logging.getLogger("ser_hf").setLevel(logging.INFO)


def limit_output(*, quiet: bool) -> None:
    """Leave out progress bars if stderr is not a terminal; if `quiet`, also bars and messages that need no action.

    This must be called before tqdm is imported, which reads the environment once.
    """
    if quiet:
        logging.getLogger("ser_hf").setLevel(logging.WARNING)
    if quiet or not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")


def wrap(text: str, indent: str = "", *, first: str | None = None) -> str:
    """Return a text on lines that the terminal has room for.

    Args:
        text: A text without line breaks.
        indent: Spaces before each line.
        first: The beginning of the first line instead of `indent`.
    """
    width = shutil.get_terminal_size().columns
    return textwrap.fill(
        text,
        width,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def align_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    r"""Return rows of cells as lines of text with aligned columns.

    Examples:
        >>> print("\n".join(align_columns([["", "test"], ["UA", "0.753"], ["macro F1", "0.749"]])))
                  test
        UA        0.753
        macro F1  0.749
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
