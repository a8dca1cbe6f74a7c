r"""Spell file names that are not UTF-8, so that tables, Arrow and JSON can hold them, and read them back.

Python holds a byte of a file name that is not UTF-8 as a lone surrogate, which no file in UTF-8 can contain. In tables
it is spelled ``\xe4``. A name that contains such a text itself is spelled with ``\x5c`` for its backslash, so that each
name has a spelling of its own.
"""

import os
import re

LOOKS_SPELLED = re.compile(r"\\(?=x(?:5c|[89a-f][0-9a-f]))")
SPELLED = re.compile(rb"\\x(5c|[89a-f][0-9a-f])")


def spell(name: str) -> str:
    r"""Return a file name or path as text that is valid UTF-8.

    Examples:
        >>> print(spell(os.fsdecode(b"caf\xe9.wav")), spell("café.wav"), spell(r"a\xe9.wav"))
        caf\xe9.wav café.wav a\x5cxe9.wav
    """
    name = name if name.isascii() and "\\" not in name else LOOKS_SPELLED.sub(r"\\x5c", name)
    return as_utf8(name)


def as_utf8(text: str) -> str:
    """Return a text that may contain file names as valid UTF-8, which cannot be read back; see `spell`."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def unspell(text: str) -> str:
    r"""Return the file name or path on the disk that `spell` spelled.

    Examples:
        >>> os.fsencode(unspell(r"caf\xe9.wav")), unspell(r"a\x5cxe9.wav") == r"a\xe9.wav"
        (b'caf\xe9.wav', True)
    """
    if "\\" not in text:
        return text
    return os.fsdecode(SPELLED.sub(lambda found: bytes([int(found[1], 16)]), os.fsencode(text)))
