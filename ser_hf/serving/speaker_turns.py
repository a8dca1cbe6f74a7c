"""Who speaks when: the turns of a diarisation (RTTM, JSON or a table), and the audio of each turn.

Times are seconds from the start of the recording.
"""

import logging
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ser_hf.corpora.files import pluralize
from ser_hf.corpora.name_forms import clean_text
from ser_hf.corpora.table_rows import KEPT, READERS, read_table_rows
from ser_hf.foreign_files import parse_json, read_text

LATE = 1.0  # seconds; diarisations round, so that turns may end a little after the audio
FORMATS = (".rttm", ".json", *READERS)

logger = logging.getLogger(__name__)


class Span(Protocol):
    """Describe what has a start, an end and a speaker: a `Turn`, or a segment of a timeline."""

    @property
    def start(self) -> float:
        """Start in seconds."""

    @property
    def end(self) -> float:
        """End in seconds."""

    @property
    def speaker(self) -> str | None:
        """Name of the speaker."""


@dataclass(frozen=True)
class Turn:
    """Hold a part of a recording in which one person speaks.

    Attributes:
        start: Start in seconds.
        end: End in seconds.
        speaker: Name of the speaker.

    Examples:
        >>> turn = Turn(1.5, 4.0, "agent")
        >>> turn.end - turn.start
        2.5
    """

    start: float
    end: float
    speaker: str


def read_turns(path: str | os.PathLike, recording: str | os.PathLike) -> list[Turn]:
    """Return the turns of a recording, sorted by start; turns of one speaker that touch or overlap are joined.

    Turns without a speaker, and turns that end before they start, are left out and counted in the log.

    Args:
        path: RTTM; JSON with objects of ``start``, ``end`` and ``speaker`` in a list, or in ``segments`` (whisperX),
            ``diarization`` or ``output.diarization`` (pyannote); or a table with the columns start, end and speaker.
        recording: Path of the recording. Of an RTTM with several recordings, its turns are those of this file name;
            those of a single recording with another name are taken with a warning.

    Raises:
        ValueError: If the file has another format, or holds no turn of the recording.

    Source: for RTTM, NIST, "The 2009 (RT-09) Rich Transcription Meeting Recognition Evaluation Plan", appendix A.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"speakers: expected a file with the extension {' or '.join(FORMATS)}, found '{path}'.")
    reader = {".rttm": _read_rttm, ".json": _read_json}.get(path.suffix.lower(), _read_table)
    return _clean(reader(path, Path(recording).stem), path, recording)


def read_rttm(path: str | os.PathLike) -> dict[str, list[Turn]]:
    """Return the turns of each recording of an RTTM by its name, as `read_turns` does for one.

    Raises:
        ValueError: If the file has another format, or holds no turn of a recording that it names.
    """
    return {name: _clean(found, path, name) for name, found in _parse_rttm(Path(path)).items()}


def _clean(
    rows: Iterable[tuple[float, float, str]], path: str | os.PathLike, recording: str | os.PathLike
) -> list[Turn]:
    found = [Turn(start, end, clean_text(speaker)) for start, end, speaker in rows]
    if endless := [turn for turn in found if not (math.isfinite(turn.start) and math.isfinite(turn.end))]:
        raise ValueError(f"'{path}': expected times in seconds, found {endless[0].start} to {endless[0].end}.")
    turns = [turn for turn in found if turn.speaker and 0 <= turn.start < turn.end]
    if not turns:
        raise ValueError(
            f"'{path}' holds no turn of '{recording}': expected start, end and speaker of each turn, found "
            f"{pluralize(len(found), 'row')}."
        )
    if len(found) > len(turns):
        logger.warning(f"'{path}': left out {pluralize(len(found) - len(turns), 'turn')} without speaker or duration.")
    return join_turns(turns)


def join_turns(turns: Iterable[Turn]) -> list[Turn]:
    """Return turns sorted by start; those of one speaker that touch or overlap are one turn.

    Examples:
        >>> join_turns([Turn(2.0, 3.0, "a"), Turn(0.0, 2.0, "a"), Turn(1.0, 4.0, "b")])
        [Turn(start=0.0, end=3.0, speaker='a'), Turn(start=1.0, end=4.0, speaker='b')]
    """
    joined: list[Turn] = []
    last: dict[str, int] = {}  # speaker -> place of their last turn
    for turn in sorted(turns, key=lambda turn: (turn.start, turn.end, turn.speaker)):
        place = last.get(turn.speaker)
        if place is not None and turn.start <= joined[place].end:
            before = joined[place]
            joined[place] = Turn(before.start, max(before.end, turn.end), turn.speaker)
        else:
            last[turn.speaker] = len(joined)
            joined.append(turn)
    return joined


def cut_turns(
    blocks: Iterable[np.ndarray], sampling_rate: int, turns: Sequence[Turn]
) -> Iterator[tuple[Turn, np.ndarray]]:
    """Yield each turn with its samples ``(T,)``, in one pass; the audio from the current turn on is kept in memory.

    Args:
        blocks: Consecutive samples ``(T,)`` of the recording.
        sampling_rate: In Hz.
        turns: Sorted by start.

    Raises:
        ValueError: If a turn starts after the end of the audio, as in a file of another recording.
    """
    blocks, held, first = iter(blocks), np.zeros(0, dtype=np.float32), 0  # first: number of the first held sample
    late = 0
    for turn in turns:
        start, end = round(turn.start * sampling_rate), round(turn.end * sampling_rate)
        parts, reached = [held[max(start - first, 0) :]], first + len(held)
        first = max(first, min(start, reached))
        while reached < end and (block := next(blocks, None)) is not None:
            before = min(max(start - reached, 0), len(block))  # samples before the turn
            parts.append(block[before:])
            reached += len(block)
            first += before
        held = np.concatenate(parts)
        if start >= reached:
            raise ValueError(
                f"The turn of '{turn.speaker}' from {turn.start:.2f} to {turn.end:.2f} s starts after the end of the "
                f"audio, at {reached / sampling_rate:.2f} s. Are the times in seconds, and of this recording?"
            )
        late += end - reached > LATE * sampling_rate
        yield turn, held[start - first : end - first]
    if late:
        logger.warning(
            f"{pluralize(late, 'turn')} of {len(turns)} end after the end of the audio, at "
            f"{(first + len(held)) / sampling_rate:.2f} s. Are the times in seconds, and of this recording?"
        )


def overlap_test(spans: Sequence[Span], *, least: float = 0.05) -> Callable[[Span], bool]:
    """Return a function that tells whether another speaker of `spans` speaks during a span for some seconds.

    Args:
        spans: Who speaks when.
        least: Shortest overlap in seconds.

    Examples:
        >>> overlaps = overlap_test([Turn(0.0, 2.0, "a"), Turn(1.5, 4.0, "b")])
        >>> overlaps(Turn(0.0, 2.0, "a")), overlaps(Turn(3.0, 4.0, "b"))
        (True, False)
    """
    starts, ends = np.array([span.start for span in spans]), np.array([span.end for span in spans])
    speakers = np.array([span.speaker for span in spans], dtype=object)

    def overlaps(span: Span) -> bool:
        shared = np.minimum(span.end, ends) - np.maximum(span.start, starts)
        return bool(((shared >= least) & (speakers != span.speaker)).any())

    return overlaps


def _parse_rttm(path: Path) -> dict[str, list[tuple[float, float, str]]]:
    """Return start, end and speaker of each line that begins with SPEAKER, by the name of the recording."""
    turns: dict[str, list[tuple[float, float, str]]] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        cells = line.split()
        if cells[:1] != ["SPEAKER"]:
            continue
        try:
            start, duration = float(cells[3]), float(cells[4])
            turns.setdefault(cells[1], []).append((start, round(start + duration, 6), cells[7]))
        except (ValueError, IndexError):
            raise ValueError(
                f"'{path}', line {number}: expected 'SPEAKER file channel start duration <NA> <NA> speaker', found "
                f"'{line[:80]}'."
            ) from None
    return turns


def _read_rttm(path: Path, recording: str) -> Iterator[tuple[float, float, str]]:
    turns = _parse_rttm(path)
    if len(turns) > 1 and recording not in turns:
        raise ValueError(f"'{path}' holds turns of {', '.join(sorted(turns)[:5])}, and none of '{recording}'.")
    if len(turns) == 1 and recording not in turns:
        logger.warning(f"'{path}' holds turns of '{next(iter(turns))}': they are taken for '{recording}'.")
    yield from turns.get(recording) or next(iter(turns.values()), [])


def _read_json(path: Path, recording: str) -> Iterator[tuple[float, float, str]]:
    expected = "expected a list of objects with start, end and speaker, as whisperX (segments) and pyannote write it"
    try:
        content = parse_json(read_text(path))
        for key in ("output", "segments", "diarization"):
            content = content.get(key, content) if isinstance(content, dict) else content
        for item in content:  # whisperX leaves the speaker out where nobody was recognised
            yield float(item["start"]), float(item["end"]), str(item.get("speaker") or "")
    except (TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"'{path}': {expected}.") from error
    except ValueError as error:
        raise ValueError(f"'{path}': {expected}, found: {error}") from error


def _read_table(path: Path, recording: str) -> Iterator[tuple[float, float, str]]:
    for number, cells in read_table_rows(path, required=(), keep=True):
        if missing := [name for name in ("start", "end", "speaker") if name not in cells]:
            header = [name.removeprefix(KEPT) for name in cells if name.startswith(KEPT) or name in ("start", "end")]
            raise ValueError(
                f"'{path}': expected the columns start, end and speaker, found no {' and no '.join(missing)} among "
                f"{header}."
            )
        try:
            yield float(str(cells["start"])), float(str(cells["end"])), str(cells["speaker"])
        except ValueError:
            found = f"start '{cells['start']}' and end '{cells['end']}'"
            raise ValueError(f"'{path}', row {number}: expected seconds, found {found}.") from None
