"""Print for people: aligned columns, and progress bars in terminals only."""

import logging
import os
import sys
from collections.abc import Sequence

from ser_hf.escaping import lines


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
