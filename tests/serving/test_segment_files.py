import csv
import json
import re

import pytest

from ser_hf.serving.emotion_segments import Segment
from ser_hf.serving.segment_files import write_segments

SEGMENTS = [
    Segment(0.9, 3.25, "angry", 0.875, False, {"angry": 0.875, "<sad> & low": 0.125}),
    Segment(3605.5, 3607.0, "<sad> & low", 0.6985, True, {"angry": 0.3015, "<sad> & low": 0.6985}),
]


def test_a_table_reads_back_as_it_was(tmp_path):
    write_segments(SEGMENTS, tmp_path / "timeline.csv")
    with (tmp_path / "timeline.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["start", "end", "emotion", "score", "uncertain", "score_angry", "score_<sad> & low"]
    assert [float(row["start"]) for row in rows] == [0.9, 3605.5]
    assert [(row["emotion"], row["uncertain"]) for row in rows] == [("angry", "False"), ("<sad> & low", "True")]


def test_json_reads_back_as_it_was(tmp_path):
    write_segments(iter(SEGMENTS), tmp_path / "timeline.json")
    rows = json.loads((tmp_path / "timeline.json").read_text())
    assert [Segment(**row) for row in rows] == SEGMENTS


def test_labels_are_times_and_text_between_tabs(tmp_path):
    write_segments(SEGMENTS, tmp_path / "timeline.txt")
    assert (tmp_path / "timeline.txt").read_text().splitlines() == [
        "0.900\t3.250\tangry 87.5 %",
        "3605.500\t3607.000\tuncertain (<sad> & low 69.8 %)",
    ]


def test_subtitles_are_valid_and_escaped(tmp_path):
    write_segments(SEGMENTS, tmp_path / "timeline.vtt")
    header, *cues = (tmp_path / "timeline.vtt").read_text().split("\n\n")
    assert header == "WEBVTT"
    assert cues[1] == "01:00:05.500 --> 01:00:07.000\nuncertain (&lt;sad&gt; &amp; low 69.8 %)\n"
    assert all(re.match(r"\d\d:[0-5]\d:[0-5]\d\.\d{3} --> \d\d:[0-5]\d:[0-5]\d\.\d{3}\n[^<]+$", cue) for cue in cues)


@pytest.mark.parametrize(("name", "content"), [
    ("none.csv", "start,end,emotion,score,uncertain\n"), ("none.json", "[]\n"), ("none.txt", ""),
    ("none.vtt", "WEBVTT\n"),
])  # fmt: skip
def test_a_recording_without_speech_is_a_valid_file(tmp_path, name, content):
    write_segments([], tmp_path / name)
    assert (tmp_path / name).read_text() == content


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"extension .csv or .json or .txt or .vtt, found '.*\.srt'"):
        write_segments(SEGMENTS, tmp_path / "timeline.srt")
    assert not (tmp_path / "timeline.srt").exists()
