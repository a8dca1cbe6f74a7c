"""Write segments as a table, as labels of an audio editor, or as subtitles."""

import csv
import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from ser_hf.cache import whole_file
from ser_hf.escaping import cell, cue, one_line
from ser_hf.serving.emotion_segments import Segment


def write_segments(segments: Iterable[Segment], path: str | os.PathLike) -> None:
    """Write segments in the format of the file extension.

    =========  =====================================================================================
    ``.csv``   ``start, end, emotion, score, uncertain, score_<emotion>, …``; times in seconds
    ``.json``  a list of objects with the same keys, but all scores in one object ``scores``
    ``.txt``   labels for Audacity (File, Import, Labels): start, end and text, separated by tabs
    ``.vtt``   WebVTT subtitles, which players and browsers show with the recording
    =========  =====================================================================================

    Args:
        segments: From `timeline`; an empty list gives a valid file too.
        path: File to write, in an existing folder.

    Raises:
        ValueError: If the extension is another one.
    """
    path = Path(path)
    if path.suffix not in WRITERS:
        raise ValueError(f"Expected a file with the extension {' or '.join(WRITERS)}, found '{path}'.")
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        WRITERS[path.suffix](segments, file)


def caption(segment: Segment) -> str:
    """Return the text that is shown for a segment.

    Examples:
        >>> caption(Segment(0.0, 1.5, "angry", 0.875, False, {"angry": 0.875, "sad": 0.125}))
        'angry 87.5 %'
        >>> caption(Segment(0.0, 1.5, "angry", 0.381, True, {"angry": 0.381, "sad": 0.319, "happy": 0.3}))
        'uncertain (angry 38.1 %)'
    """
    named = segment.emotion in segment.scores  # for other tasks, the prediction contains the scores
    text = f"{segment.emotion} {100 * segment.score:.1f} %" if named else segment.emotion
    return f"uncertain ({text})" if segment.uncertain else text


def _write_csv(segments: Iterable[Segment], file) -> None:
    rows = []
    for segment in segments:
        row = asdict(segment)
        del row["final"]
        rows.append(row | {f"score_{emotion}": score for emotion, score in row.pop("scores").items()})
    columns = ["start", "end", "emotion", "score", "uncertain"] if not rows else list(rows[0])
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: cell(value) for name, value in row.items()} for row in rows)


def _write_json(segments: Iterable[Segment], file) -> None:
    rows = [{key: value for key, value in asdict(segment).items() if key != "final"} for segment in segments]
    json.dump(rows, file, indent=1, ensure_ascii=False)
    file.write("\n")


def _write_labels(segments: Iterable[Segment], file) -> None:
    for segment in segments:
        file.write(f"{segment.start:.3f}\t{segment.end:.3f}\t{one_line(caption(segment))}\n")


def _write_subtitles(segments: Iterable[Segment], file) -> None:
    """Write WebVTT.

    Source: https://www.w3.org/TR/webvtt1/#file-structure
    """
    file.write("WEBVTT\n")
    for segment in segments:
        file.write(f"\n{_stamp(segment.start)} --> {_stamp(segment.end)}\n{cue(caption(segment))}\n")


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


WRITERS = {".csv": _write_csv, ".json": _write_json, ".txt": _write_labels, ".vtt": _write_subtitles}
