import csv
import json
import re

import pytest
from praatio import textgrid
from pympi import Eaf

from ser_hf.serving.emotion_segments import Segment
from ser_hf.serving.segment_files import write_segments
from ser_hf.serving.speaker_turns import Turn, read_turns

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
    rows = json.loads((tmp_path / "timeline.json").read_text(encoding="utf-8"))
    assert [Segment(**row) for row in rows] == SEGMENTS


def test_labels_are_times_and_text_between_tabs(tmp_path):
    write_segments(SEGMENTS, tmp_path / "timeline.txt")
    assert (tmp_path / "timeline.txt").read_text(encoding="utf-8").splitlines() == [
        "0.900\t3.250\tangry 87.5 %",
        "3605.500\t3607.000\tuncertain (<sad> & low 69.8 %)",
    ]


def test_subtitles_are_valid_and_escaped(tmp_path):
    write_segments(SEGMENTS, tmp_path / "timeline.vtt")
    header, *cues = (tmp_path / "timeline.vtt").read_text(encoding="utf-8").split("\n\n")
    assert header == "WEBVTT"
    assert cues[1] == "01:00:05.500 --> 01:00:07.000\nuncertain (&lt;sad&gt; &amp; low 69.8 %)\n"
    assert all(re.match(r"\d\d:[0-5]\d:[0-5]\d\.\d{3} --> \d\d:[0-5]\d:[0-5]\d\.\d{3}\n[^<]+$", cue) for cue in cues)


TALK = [
    Segment(0.5, 2.25, "sad", 0.75, False, {"happy": 0.25, "sad": 0.75}, speaker="Anna"),
    Segment(2.0, 3.0, 'say "hi" <b> é', 0.5, True, {"happy": 0.5, "sad": 0.5}, speaker="Bo B", overlap=True),
    Segment(4.0, 5.5, "happy", 1.0, False, {"happy": 1.0, "sad": 0.0}, speaker="Anna"),
]


def test_a_textgrid_has_a_tier_per_speaker_in_praatio(tmp_path):
    write_segments(TALK, tmp_path / "talk.TextGrid")
    grid = textgrid.openTextgrid(str(tmp_path / "talk.TextGrid"), includeEmptyIntervals=False)
    assert grid.tierNames == ("Anna", "Bo B") and grid.maxTimestamp == 5.5
    assert [tuple(entry) for entry in grid.getTier("Anna").entries] == [
        (0.5, 2.25, "sad 75.0 %"), (4.0, 5.5, "happy 100.0 %")
    ]  # fmt: skip
    assert [entry.label for entry in grid.getTier("Bo B").entries] == ['uncertain (say "hi" <b> é)']


def test_annotations_have_the_duration_and_the_name_of_the_recording(tmp_path, record, speak):
    path = record(speak(("sad", 7.0)), name="my talk.wav")
    for name in ("a.TextGrid", "a.eaf", "a.rttm"):
        write_segments(TALK[:1], tmp_path / name, recording=path)
    assert textgrid.openTextgrid(str(tmp_path / "a.TextGrid"), includeEmptyIntervals=False).maxTimestamp == 7.0
    (media,) = Eaf(str(tmp_path / "a.eaf")).get_linked_files()
    assert (media["RELATIVE_MEDIA_URL"], media["MIME_TYPE"]) == ("./my talk.wav", "audio/x-wav")
    assert (tmp_path / "a.rttm").read_text(encoding="utf-8").startswith("SPEAKER my_talk 1 0.500 ")


def test_annotations_of_elan_have_a_tier_per_speaker_in_pympi(tmp_path):
    write_segments(TALK, tmp_path / "talk.eaf")
    write_segments(TALK, tmp_path / "talk.eaf")  # again: no copy of the former file stays
    document = Eaf(str(tmp_path / "talk.eaf"))
    assert sorted(document.get_tier_names()) == ["Anna", "Bo B"]
    assert sorted(document.get_annotation_data_for_tier("Anna")) == [
        (500, 2250, "sad 75.0 %"), (4000, 5500, "happy 100.0 %")
    ]  # fmt: skip
    assert document.get_annotation_data_for_tier("Bo B") == [(2000, 3000, 'uncertain (say "hi" <b> é)')]
    assert [path.name for path in tmp_path.iterdir()] == ["talk.eaf"]


def test_rttm_reads_back_as_turns(tmp_path):
    write_segments(TALK, tmp_path / "talk.rttm")
    first = (tmp_path / "talk.rttm").read_text(encoding="utf-8").splitlines()[0]
    assert first == "SPEAKER talk 1 0.500 1.750 sad <NA> Anna 0.750 <NA>"
    assert read_turns(tmp_path / "talk.rttm", "talk.wav") == [
        Turn(0.5, 2.25, "Anna"), Turn(2.0, 3.0, "Bo_B"), Turn(4.0, 5.5, "Anna")
    ]  # fmt: skip


def test_speakers_are_named_in_every_other_format(tmp_path):
    for name in ("talk.csv", "talk.jsonl", "talk.txt", "talk.vtt"):
        write_segments(TALK, tmp_path / name)
    with (tmp_path / "talk.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["speaker"], row["overlap"]) for row in rows] == [
        ("Anna", "False"),
        ("Bo B", "True"),
        ("Anna", "False"),
    ]
    lines = (tmp_path / "talk.jsonl").read_text(encoding="utf-8").splitlines()
    assert [Segment(**json.loads(line)) for line in lines] == TALK
    assert (tmp_path / "talk.txt").read_text(encoding="utf-8").startswith("0.500\t2.250\tAnna: sad 75.0 %\n")
    assert "\nBo B: " in (tmp_path / "talk.vtt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["none.TextGrid", "none.eaf"])
def test_annotations_of_a_recording_without_speech_are_an_empty_tier(tmp_path, name):
    write_segments([], tmp_path / name)
    if name == "none.eaf":
        assert Eaf(str(tmp_path / name)).get_annotation_data_for_tier("emotion") == []
    else:
        grid = textgrid.openTextgrid(str(tmp_path / name), includeEmptyIntervals=False)
        assert list(grid.getTier("emotion").entries) == []


@pytest.mark.parametrize(("name", "content"), [
    ("none.csv", "start,end,emotion,score,uncertain\n"), ("none.json", "[]\n"), ("none.txt", ""),
    ("none.vtt", "WEBVTT\n"), ("none.jsonl", ""), ("none.rttm", ""),
])  # fmt: skip
def test_a_recording_without_speech_is_a_valid_file(tmp_path, name, content):
    write_segments([], tmp_path / name)
    assert (tmp_path / name).read_text(encoding="utf-8") == content


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"extension .csv or .json .* or .TextGrid or .eaf, found '.*\.srt'"):
        write_segments(SEGMENTS, tmp_path / "timeline.srt")
    assert not (tmp_path / "timeline.srt").exists()
