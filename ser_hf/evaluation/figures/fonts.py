"""Choose fonts for names in any script: fonts of the system, or of the packages of the extra `fonts`."""

import importlib.util
import logging
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry, FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

PACKAGES = ("manimgx_fonts", "manimgx_fonts_cjk")  # Noto for most scripts, and for Chinese, Japanese and Korean
UNFIT = ("Last Resort", ".LastResort", "Color Emoji")  # boxes instead of letters; images, which matplotlib cannot draw

logger = logging.getLogger(__name__)


@contextmanager
def fonts_for(figure: Figure) -> Iterator[None]:
    """Add fonts that have the characters of a figure; one warning names the characters that no font has."""
    for axes in figure.axes:  # creates the labels of the ticks
        axes.get_xticklabels()
        axes.get_yticklabels()
    texts = [text for text in figure.findobj(Text) if not text.get_text().isascii()]
    characters = {character for text in texts for character in text.get_text() if character.isprintable()}
    families, missing = choose_families(frozenset(characters))
    for text in texts:
        text.set_fontfamily([*text.get_fontfamily(), *families])
    if missing:
        _warn_of(missing)
    finder = logging.getLogger("matplotlib.font_manager")  # warns that a font has one weight only
    level = finder.level
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")
        finder.setLevel(logging.ERROR)
        yield
    finder.setLevel(level)


@cache
def choose_families(characters: frozenset[str]) -> tuple[list[str], str]:
    """Return the font families to add to the default font, and the sorted characters that no font has.

    Examples:
        >>> choose_families(frozenset("aü–"))
        ([], '')
    """
    families, missing = [], set(characters) - _characters_of(findfont(FontProperties()), 0)
    if missing:
        for font in _list_fonts():
            if found := missing & _characters_of(font.fname, font.index):
                families.append(font.name)
                missing -= found
            if not missing:
                break
    missing = {character for character in missing if not unicodedata.combining(character)}
    return families, "".join(sorted(missing))


def _list_fonts() -> Iterable[FontEntry]:
    """Return the upright fonts, Noto first, after those of the extra `fonts` were registered."""
    known = {font.fname for font in fontManager.ttflist}
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        for folder in spec.submodule_search_locations or () if spec else ():
            for path in sorted(Path(folder).glob("*.tt[fc]")):
                if str(path) not in known:
                    fontManager.addfont(str(path))
    upright = [font for font in fontManager.ttflist if font.style == "normal"]
    fit = [font for font in upright if not any(name in font.name for name in UNFIT)]
    return sorted(fit, key=lambda font: (not font.name.startswith("Noto Sans"), not font.name.startswith("Noto")))


@cache
def _characters_of(path: str, index: int) -> frozenset[str]:
    return frozenset(map(chr, FT2Font(path, face_index=index).get_charmap()))


@cache
def _warn_of(missing: str) -> None:
    """Log the warning once for the same characters."""
    logger.warning(
        f"Figures show boxes instead of {len(missing)} characters that no installed font has ({missing[:10]}). "
        'Install a font that has them, such as Noto: pip install "ser_hf[fonts]".'
    )
