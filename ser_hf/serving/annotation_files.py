"""Write segments as annotations for Praat (TextGrid) and ELAN (.eaf): a tier per speaker."""

from collections.abc import Iterable
from pathlib import Path

from ser_hf.escaping import one_line
from ser_hf.serving.emotion_segments import Segment, caption

TIER = "emotion"  # of segments without a speaker
SHORTEST = 0.001  # seconds; the shortest TextGrid, of a recording without speech


def write_textgrid(segments: Iterable[Segment], path: Path) -> None:
    """Write a TextGrid for Praat.

    Raises:
        ImportError: If praatio is not installed.
    """
    try:
        from praatio import textgrid
    except ImportError as error:
        raise ImportError('A TextGrid needs praatio: pip install "ser_hf[annotations]".') from error
    tiers = _make_tiers(segments)
    end = max((entry[1] for entries in tiers.values() for entry in entries), default=SHORTEST)
    grid = textgrid.Textgrid(0, end)
    for name, entries in tiers.items():
        grid.addTier(textgrid.IntervalTier(name, entries, 0, end))
    grid.save(str(path), format="long_textgrid", includeBlankSpaces=True)


def write_eaf(segments: Iterable[Segment], path: Path) -> None:
    """Write an annotation document for ELAN.

    Raises:
        ImportError: If pympi is not installed.
    """
    try:
        from pympi import Eaf
    except ImportError as error:
        raise ImportError('An .eaf file needs pympi: pip install "ser_hf[annotations]".') from error
    document = Eaf(author="ser_hf")
    document.remove_tier("default")
    for name, entries in _make_tiers(segments).items():
        document.add_tier(name)
        for start, end, text in entries:
            document.add_annotation(name, round(1000 * start), round(1000 * end), text)  # milliseconds
    document.to_file(str(path))


def _make_tiers(segments: Iterable[Segment]) -> dict[str, list[tuple[float, float, str]]]:
    """Return start, end and text of the segments by tier; a tier even if there are none."""
    tiers: dict[str, list[tuple[float, float, str]]] = {}
    for segment in segments:
        entries = tiers.setdefault(one_line(segment.speaker or TIER), [])
        entries.append((segment.start, segment.end, one_line(caption(segment))))
    return tiers or {TIER: []}


ANNOTATIONS = {".TextGrid": write_textgrid, ".eaf": write_eaf}
