"""Check whether the start and end times of a table fit its audio files, and name the likely cause if they do not."""

import os
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from ser_hf.corpora.files import pluralize
from ser_hf.data.audio import read_header

MOST_MISFITS = 0.1  # share of the segments; a few wrong rows are listed one by one
TOLERANCE = 0.5  # seconds that a segment may end after its file: times are rounded, and codecs cut
SAMPLE = 500  # segments whose files are read
ENOUGH = 0.9  # share of the segments that an explanation must explain
SHORTEST = 0.1  # seconds of a typical segment of speech
WHOLE = "--columns start= end= uses the whole files"


class FileSegment(NamedTuple):
    """Hold the times of a segment, and of its file, in seconds."""

    path: str
    start: float
    end: float | None
    duration: float  # of the file
    sampling_rate: int  # Hz

    @property
    def fits(self) -> bool:
        """Whether the segment is within the file and ends after its start."""
        last = self.start if self.end is None else self.end
        in_order = self.end is None or self.end > self.start
        return 0 <= self.start < self.duration and last <= self.duration + TOLERANCE and in_order


def describe_misfit(times: Sequence[tuple[str, float | None, float | None]]) -> str | None:
    """Return a sentence if more than a tenth of the rows are segments outside their files; None if they fit.

    Args:
        times: Path, start and end in seconds; None for the start or end of the file. Rows without times fit, and files
            that cannot be read are ignored.
    """
    timed = [row for row in times if row[1] is not None or row[2] is not None]
    segments = [found for row in timed[:: -(-len(timed) // SAMPLE) or 1] if (found := _read_segment(*row))]
    wrong = [segment for segment in segments if not segment.fits]
    share_timed = len(timed) / max(len(times), 1)
    if len(wrong) * share_timed <= MOST_MISFITS * len(segments):
        return None
    first = wrong[0]
    span = f"{first.start:g} to {'its end' if first.end is None else f'{first.end:g}'} s of {first.duration:.2f} s"
    count = f"{len(wrong)} of {pluralize(len(segments), 'segment')} are not within their files"
    return f"{count} (first: '{first.path}', {span}). {_explain(segments)}"


def _read_segment(path: str, start: float | None, end: float | None) -> FileSegment | None:
    try:
        header = read_header(path)
    except (ValueError, OSError):
        return None
    return FileSegment(os.fspath(path), start or 0.0, end, header.duration, header.sampling_rate)


def _explain(segments: list[FileSegment]) -> str:
    """Return the likely cause and what mends it."""

    def explains(share_of: Sequence[bool]) -> bool:
        return len(share_of) > 0 and sum(share_of) >= ENOUGH * len(share_of)

    ended = [segment for segment in segments if segment.end is not None]
    if explains([segment.end <= segment.start for segment in ended]):  # type: ignore[operator]
        return (
            "Most end before they start: is the column of the end one of durations, or are the two exchanged? "
            "--columns start=COLUMN end=COLUMN chooses others."
        )
    if explains([segment.start < 0 for segment in segments]):
        return f"Most starts are negative: expected seconds from the start of the file. {WHOLE}."
    for unit, factors in (
        ("milliseconds", [1_000] * len(segments)),
        ("samples", [segment.sampling_rate for segment in segments]),
    ):
        scaled = [_scale_times(segment, factor) for segment, factor in zip(segments, factors, strict=True)]
        lengths = [segment.end - segment.start for segment in scaled if segment.end is not None]
        if lengths and median(lengths) > SHORTEST and explains([segment.fits for segment in scaled]):
            divisor = f"{median(factors):g}"
            return f"The times are probably {unit}: divide both columns by {divisor}, because seconds are expected."
    if len({segment.path for segment in segments}) >= ENOUGH * len(segments):
        return (
            "Each file has one segment, so the times probably count from the start of the dialogue that the files were "
            f"cut from: {WHOLE}."
        )
    return f"Do the times belong to other files? {WHOLE}."


def _scale_times(segment: FileSegment, factor: float) -> FileSegment:
    end = None if segment.end is None else segment.end / factor
    return segment._replace(start=segment.start / factor, end=end)
