"""How a figure is written: as PNG, in one step."""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.text import Text

from ser_hf.cache import whole_file
from ser_hf.evaluation.figures.fonts import fonts_for

RESOLUTION = 150  # dots per inch
LARGEST = 8_000  # dots of the longer side; matplotlib keeps the whole image in memory


def save_figure(figure: Figure, path: str | Path, *, tight: bool = True) -> None:
    """Write a figure as PNG into a folder that exists; a very large one has a lower resolution.

    Args:
        figure: Drawn without pyplot.
        path: The file.
        tight: Cut the image to what is drawn; False keeps the size of the figure.
    """
    for text in figure.findobj(lambda artist: isinstance(artist, Text) and "mathdefault" not in artist.get_text()):
        text.set_parse_math("$" not in text.get_text())  # type: ignore[attr-defined]  # a label is no formula
    dpi = min(RESOLUTION, LARGEST / max(figure.get_size_inches()))
    with whole_file(path) as partial, fonts_for(figure):
        figure.savefig(partial, format="png", dpi=dpi, bbox_inches="tight" if tight else None)
