"""Write segments as annotations for Praat (TextGrid) and ELAN (.eaf): a tier per speaker."""

import mimetypes
import os
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from ser_hf.data.decoder import open_audio
from ser_hf.escaping import one_line
from ser_hf.serving.emotion_segments import Segment, caption

TIER = "emotion"  # of segments without a speaker
SHORTEST = 0.001  # seconds, of a segment and of a TextGrid
WAV = "audio/x-wav"  # as ELAN names it; systems differ
PACKAGES = {".TextGrid": "praatio", ".eaf": "pympi"}


def check_package(extension: str) -> None:
    """Check that the package is installed that a format needs.

    Raises:
        ImportError: If it is not.
    """
    package = PACKAGES.get(extension)
    if package and find_spec(package) is None:
        raise ImportError(f'{extension} needs {package}: pip install "ser_hf[annotations]".')


def write_textgrid(segments: Iterable[Segment], path: Path, recording: str | os.PathLike | None) -> None:
    """Write a TextGrid for Praat, of the duration of the recording, or up to the end of the last segment."""
    from praatio import textgrid

    tiers = _make_tiers(segments)
    end = max((entry[1] for entries in tiers.values() for entry in entries), default=SHORTEST)
    if recording is not None:
        reader = open_audio(recording)
        end = max(end, reader.measure() / reader.sampling_rate)
    grid = textgrid.Textgrid(0, end)
    for name, entries in tiers.items():
        grid.addTier(textgrid.IntervalTier(name, entries, 0, end))
    grid.save(str(path), format="long_textgrid", includeBlankSpaces=True)


def write_eaf(segments: Iterable[Segment], output: Path, recording: str | os.PathLike | None) -> None:
    """Write an annotation document for ELAN, linked to the recording."""
    from pympi import Eaf

    document = Eaf(author="ser_hf")
    document.remove_tier("default")
    if recording is not None:
        path = Path(recording).absolute()
        kind = WAV if path.suffix.lower() == ".wav" else mimetypes.guess_type(path.name)[0] or WAV
        document.add_linked_file(path.as_uri(), f"./{path.name}", kind)
    for name, entries in _make_tiers(segments).items():
        document.add_tier(name)
        for start, end, text in entries:
            document.add_annotation(name, round(1000 * start), round(1000 * end), text)  # milliseconds
    document.to_file(str(output))


def _make_tiers(segments: Iterable[Segment]) -> dict[str, list[tuple[float, float, str]]]:
    """Return start, end and text of the segments by tier; a tier even if there are none."""
    tiers: dict[str, list[tuple[float, float, str]]] = {}
    for segment in segments:
        if segment.end - segment.start >= SHORTEST:
            entries = tiers.setdefault(one_line(segment.speaker or TIER), [])
            entries.append((segment.start, segment.end, one_line(caption(segment))))
    return tiers or {TIER: []}


ANNOTATIONS = {".TextGrid": write_textgrid, ".eaf": write_eaf}
