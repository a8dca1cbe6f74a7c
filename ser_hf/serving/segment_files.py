"""Write segments as a table, as labels of an audio editor, as subtitles, or as annotations."""

import csv
import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ser_hf.cache import whole_file
from ser_hf.escaping import cell, cue, one_line
from ser_hf.serving.annotation_files import ANNOTATIONS, check_package
from ser_hf.serving.emotion_segments import Segment, name_speaker


def write_segments(
    segments: Iterable[Segment], path: str | os.PathLike, *, recording: str | os.PathLike | None = None
) -> None:
    """Write segments in the format of the file extension.

    =============  =====================================================================================
    ``.csv``       ``start, end, emotion, score, uncertain, score_<emotion>, …``; times in seconds; with
                   speakers, ``speaker`` and ``overlap`` too
    ``.json``      a list of objects with the same keys, but all scores in one object ``scores``
    ``.jsonl``     these objects, one per line
    ``.txt``       labels for Audacity (File, Import, Labels): start, end and text, separated by tabs
    ``.vtt``       WebVTT subtitles, which players and browsers show with the recording
    ``.rttm``      NIST's format of diarisations: the emotion in the field of the orthography, the score
                   in that of the confidence; the name is the speaker, or the emotion without speakers
    ``.TextGrid``  intervals for Praat, a tier per speaker
    ``.eaf``       annotations for ELAN, a tier per speaker
    =============  =====================================================================================

    Args:
        segments: From `timeline`; an empty list gives a valid file too.
        path: File to write, in an existing folder.
        recording: Path of the recording: its name is in RTTM, its duration in a TextGrid, both in an .eaf file.

    Raises:
        ValueError: If the extension is another one.
        ImportError: If praatio (.TextGrid) or pympi (.eaf) is not installed.
    """
    path = Path(path)
    if path.suffix not in EXTENSIONS:
        raise ValueError(f"Expected a file with the extension {' or '.join(EXTENSIONS)}, found '{path}'.")
    check_package(path.suffix)
    with whole_file(path) as partial:
        if path.suffix in ANNOTATIONS:
            ANNOTATIONS[path.suffix](segments, partial, recording)
            return
        with partial.open("w", encoding="utf-8", newline="") as file:
            if path.suffix == ".rttm":
                _write_rttm(segments, file, Path(recording or path).stem)
            else:
                WRITERS[path.suffix](segments, file)


def describe_segment(segment: Segment) -> dict[str, Any]:
    """Return a segment as an object of JSON: its attributes, speaker and overlap only if there is a speaker.

    Examples:
        >>> describe_segment(Segment(0.0, 1.5, "angry", 0.75, False, {"angry": 0.75, "sad": 0.25}))["emotion"]
        'angry'
    """
    row = asdict(segment)
    for name in ["final"] + ["speaker", "overlap"] * (segment.speaker is None):
        del row[name]
    return row


def _write_csv(segments: Iterable[Segment], file) -> None:
    rows = []
    for row in map(describe_segment, segments):
        rows.append(row | {f"score_{emotion}": score for emotion, score in row.pop("scores").items()})
    columns = ["start", "end", "emotion", "score", "uncertain"] if not rows else list(rows[0])
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: cell(value) for name, value in row.items()} for row in rows)


def _write_json(segments: Iterable[Segment], file) -> None:
    json.dump([describe_segment(segment) for segment in segments], file, indent=1, ensure_ascii=False)
    file.write("\n")


def _write_json_lines(segments: Iterable[Segment], file) -> None:
    for segment in segments:
        file.write(json.dumps(describe_segment(segment), ensure_ascii=False) + "\n")


def _write_rttm(segments: Iterable[Segment], file, recording: str) -> None:
    """Write RTTM.

    Source: NIST, "The 2009 (RT-09) Rich Transcription Meeting Recognition Evaluation Plan", appendix A.
    """
    for segment in segments:
        emotion, speaker = (_one_word(text) for text in (segment.emotion, segment.speaker or segment.emotion))
        times = f"{segment.start:.3f} {segment.end - segment.start:.3f}"
        file.write(f"SPEAKER {_one_word(recording)} 1 {times} {emotion} <NA> {speaker} {segment.score:.3f} <NA>\n")


def _one_word(text: str) -> str:
    return "_".join(one_line(text).split())


def _write_labels(segments: Iterable[Segment], file) -> None:
    for segment in segments:
        file.write(f"{segment.start:.3f}\t{segment.end:.3f}\t{one_line(name_speaker(segment))}\n")


def _write_subtitles(segments: Iterable[Segment], file) -> None:
    """Write WebVTT.

    Source: https://www.w3.org/TR/webvtt1/#file-structure
    """
    file.write("WEBVTT\n")
    for segment in segments:
        file.write(f"\n{_stamp(segment.start)} --> {_stamp(segment.end)}\n{cue(name_speaker(segment))}\n")


def clock(seconds: float, decimals: int = 1) -> str:
    """Format seconds as minutes and seconds.

    Examples:
        >>> clock(65.25)
        '1:05.2'
        >>> clock(3725.5, 2)
        '62:05.50'
    """
    unit = 10**decimals
    minutes, parts = divmod(round(unit * seconds), 60 * unit)
    return f"{minutes}:{parts / unit:0{3 + decimals}.{decimals}f}"


def _stamp(seconds: float) -> str:
    """Format seconds as hours, minutes and seconds.

    Examples:
        >>> _stamp(3725.5)
        '01:02:05.500'
    """
    minutes, milliseconds = divmod(round(1000 * seconds), 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{milliseconds // 1000:02d}.{milliseconds % 1000:03d}"


WRITERS = {
    ".csv": _write_csv, ".json": _write_json, ".jsonl": _write_json_lines, ".txt": _write_labels,
    ".vtt": _write_subtitles,
}  # fmt: skip
EXTENSIONS = (*WRITERS, ".rttm", *ANNOTATIONS)
