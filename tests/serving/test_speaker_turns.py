"""Turns of speakers, and timelines of several speakers."""

import json
import logging

import numpy as np
import pytest
import soundfile

from ser_hf.serving.long_recording import channel_timelines, timeline
from ser_hf.serving.segment_summary import summarize_speakers
from ser_hf.serving.speaker_turns import Turn, cut_turns, join_turns, overlap_test, read_turns
from ser_hf.tasks.categories import answer

RTTM = """;; made by hand
SPKR-INFO call 1 <NA> <NA> <NA> unknown A <NA> <NA>
SPEAKER call 1 4.00 2.50 <NA> <NA> B <NA> <NA>
SPEAKER call 1 0.50 1.50 <NA> <NA> A <NA> <NA>
SPEAKER call 1 2.00 1.00 <NA> <NA> A <NA> <NA>
"""
TURNS = [Turn(0.5, 3.0, "A"), Turn(4.0, 6.5, "B")]
JSON = [{"start": 4.0, "end": 6.5, "speaker": "B"}, {"start": 0.5, "end": 3.0, "speaker": "A", "text": "Hi"}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("call.rttm", RTTM),
        ("whisperx.json", json.dumps({"segments": [*JSON, {"start": 7.0, "end": 8.0}], "word_segments": []})),
        ("pyannote.json", json.dumps({"output": {"diarization": JSON}})),
        ("list.json", json.dumps(JSON)),
        ("turns.csv", "begin;end;Speaker\n0,5;3,0;A\n4,0;6,5; B\n"),
    ],
)
def test_every_format_gives_the_same_sorted_turns(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    assert read_turns(tmp_path / name, "call.wav") == TURNS


def test_the_end_of_a_turn_has_the_decimals_of_its_file(tmp_path):
    (tmp_path / "call.rttm").write_text("SPEAKER call 1 24.64 24.87 <NA> <NA> A <NA> <NA>\n")
    assert read_turns(tmp_path / "call.rttm", "call.wav") == [Turn(24.64, 49.51, "A")]


def test_of_an_rttm_of_several_recordings_those_of_the_name_are_taken(tmp_path):
    (tmp_path / "all.rttm").write_text(RTTM + "SPEAKER other 1 0.00 9.00 <NA> <NA> C <NA> <NA>\n")
    assert read_turns(tmp_path / "all.rttm", "folder/call.wav") == TURNS
    with pytest.raises(ValueError, match="holds turns of call, other, and none of 'third'"):
        read_turns(tmp_path / "all.rttm", "third.wav")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.rttm", "SPEAKER call 1 x 2.5 <NA> <NA> B <NA> <NA>\n", "line 1: expected 'SPEAKER file channel start"),
        ("a.rttm", "", "holds no turn of 'call.wav'.*found 0 rows"),
        ("a.json", '{"text": "Hi"}', "expected a list of objects with start, end and speaker"),
        ("a.csv", "start,end\n0,1\n", "expected the columns start, end and speaker, found no speaker"),
        ("a.csv", "from,who\n0,A\n", "found no start and no end and no speaker among \\['from', 'who'\\]"),
        ("a.csv", "end,id\n0,A\n", "found no start and no speaker among \\['end', 'id'\\]"),
        ("a.json", "{'speaker': 1}", "'.*a.json': expected a list of objects .*, found: .*line 1 column 2"),
        ("a.rttm", "SPEAKER call 1 0 inf <NA> <NA> B <NA> <NA>\n", "expected times in seconds, found 0.0 to inf"),
        ("a.csv", "start,end,speaker\n0,one,A\n", "row 2: expected seconds, found start '0' and end 'one'"),
        ("a.srt", "", "expected a file with the extension .rttm or .json"),
    ],
)
def test_other_files_are_refused_with_what_was_expected(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_turns(tmp_path / name, "call.wav")


def test_turns_that_end_before_they_start_are_left_out_and_counted(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    (tmp_path / "a.csv").write_text("start,end,speaker\n3,1,A\n-1,1,B\n0,1,\n0,2,C\n")
    assert read_turns(tmp_path / "a.csv", "call.wav") == [Turn(0, 2, "C")]
    assert "left out 3 turns without speaker or duration" in caplog.text


def test_the_audio_of_each_turn_is_cut_from_blocks_of_any_size():
    samples = np.arange(100, dtype=np.float32)
    turns = [Turn(0.5, 3.0, "A"), Turn(1.0, 2.0, "B"), Turn(8.0, 12.0, "A")]
    for size in (1, 7, 100):
        blocks = [samples[first : first + size] for first in range(0, 100, size)]
        found = [(turn.speaker, part.tolist()) for turn, part in cut_turns(blocks, 10, turns)]
        expected = [("A", range(5, 30)), ("B", range(10, 20)), ("A", range(80, 100))]  # the last one ends with the file
        assert found == [(name, [float(number) for number in numbers]) for name, numbers in expected]


def test_segments_end_where_the_speaker_changes_and_name_who_speaks(recogniser, speak, record):
    path = record(speak(("sad", 3.0), ("sad", 3.0), ("", 2.0), ("angry", 3.0)))
    turns = [Turn(0.0, 3.0, "A"), Turn(3.0, 7.0, "B"), Turn(8.0, 11.0, "A")]
    segments = list(timeline(recogniser, path, turns=turns))
    assert [(each.speaker, each.emotion, round(each.start), round(each.end)) for each in segments] == [
        ("A", "sad", 0, 3), ("B", "sad", 3, 6), ("A", "angry", 8, 11)
    ]  # fmt: skip
    assert not any(segment.overlap for segment in segments)


def test_speech_of_two_at_once_is_marked(recogniser, speak, record):
    path = record(speak(("sad", 6.0)))
    segments = list(timeline(recogniser, path, turns=[Turn(0.0, 4.0, "A"), Turn(3.0, 6.0, "B")]))
    assert [(each.speaker, each.overlap) for each in segments] == [("A", True), ("B", True)]
    assert not overlap_test([Turn(3.0, 6.0, "A")])(Turn(0.0, 4.0, "A"))
    assert not overlap_test([Turn(3.98, 6.0, "B")])(Turn(0.0, 4.0, "A"))


def test_segments_of_overlapping_turns_are_in_the_order_of_time(recogniser, speak, record):
    path = record(speak(("sad", 3.0), ("", 1.0), ("angry", 3.0), ("", 1.0), ("sad", 3.0)))
    turns = [Turn(0.0, 11.0, "A"), Turn(1.0, 3.0, "B"), Turn(5.0, 7.0, "C"), Turn(9.0, 11.0, "B")]
    found = [(each.speaker, round(each.start)) for each in timeline(recogniser, path, turns=turns)]
    assert found == [("A", 0), ("B", 1), ("A", 4), ("C", 5), ("A", 8), ("B", 9)]


def test_turns_of_another_recording_are_an_error(recogniser, speak, record):
    path = record(speak(("sad", 3.0)))
    with pytest.raises(ValueError, match="from 9.00 to 12.00 s starts after the end of the audio, at 3.00 s"):
        list(timeline(recogniser, path, turns=[Turn(0.0, 2.0, "A"), Turn(9.0, 12.0, "B")]))


def test_channels_are_timelines_of_their_own_sorted_by_time(recogniser, speak, tmp_path):
    agent, customer = speak(("sad", 3.0), ("", 6.0)), speak(("", 2.0), ("angry", 4.0), ("", 3.0))
    soundfile.write(tmp_path / "call.wav", np.stack([agent, customer], 1), 16_000, subtype="FLOAT")
    segments = channel_timelines(recogniser, tmp_path / "call.wav", ["agent", "customer"])
    assert [(each.speaker, each.emotion, round(each.start), round(each.end)) for each in segments] == [
        ("agent", "sad", 0, 3), ("customer", "angry", 2, 6)
    ]  # fmt: skip
    assert [segment.overlap for segment in segments] == [True, True]
    assert channel_timelines(recogniser, tmp_path / "call.wav")[0].speaker == "channel 1"
    for names in (["agent"], ["agent", "agent"], ["agent", " "]):
        with pytest.raises(ValueError, match="has 2 channels: expected a name of each, found"):
            channel_timelines(recogniser, tmp_path / "call.wav", names)
    soundfile.write(tmp_path / "mono.wav", agent, 16_000)
    with pytest.raises(ValueError, match="has one channel: expected a recording with a speaker per channel"):
        channel_timelines(recogniser, tmp_path / "mono.wav")


def test_a_silent_channel_is_named(recogniser, speak, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    agent = speak(("sad", 2.0))
    soundfile.write(tmp_path / "call.wav", np.stack([agent, np.zeros_like(agent)], 1), 16_000)
    assert [segment.speaker for segment in channel_timelines(recogniser, tmp_path / "call.wav")] == ["channel 1"]
    assert "channel 2 (channel 2) is silent" in caplog.text


def test_turns_that_end_long_after_the_audio_are_named(recogniser, speak, record, caplog):
    caplog.set_level(logging.WARNING)
    list(timeline(recogniser, record(speak(("sad", 3.0))), turns=[Turn(0.0, 3000.0, "A")]))
    assert "1 turn of 1 end after the end of the audio, at 3.00 s. Are the times in seconds" in caplog.text


def test_turns_of_one_recording_with_another_name_are_taken_with_a_warning(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    (tmp_path / "all.rttm").write_text(RTTM)
    assert read_turns(tmp_path / "all.rttm", "third.wav") == TURNS
    assert "holds turns of 'call': they are taken for 'third'" in caplog.text


def test_a_summary_tells_shares_changes_and_the_strongest_segments(recogniser, speak, record):
    path = record(speak(("sad", 2.0), ("", 1.5), ("angry", 4.0), ("", 1.5), ("sad", 2.0)))
    (summary,) = summarize_speakers(timeline(recogniser, path, turns=[Turn(0.0, 11.0, "A")]), answer)
    assert summary.speaker == "A" and 7.5 < summary.seconds < 9.5
    assert summary.shares["sad"] + summary.shares["angry"] == pytest.approx(1)
    assert summary.shares["angry"] == pytest.approx(0.5, abs=0.05)
    assert summary.scores["angry"] == pytest.approx(0.5, abs=0.05)
    assert summary.changes_per_minute == pytest.approx(60 * 2 / summary.seconds)
    assert len(summary.strongest) == 3


def test_touching_turns_of_one_speaker_are_one():
    assert join_turns([Turn(1, 2, "B"), Turn(0, 1, "A"), Turn(1, 3, "A")]) == [Turn(0, 3, "A"), Turn(1, 2, "B")]


def test_different_channels_are_averaged_with_a_notice_and_copies_without(recogniser, speak, record, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    assert len(list(timeline(recogniser, record(speak(("sad", 2.0)), channels=2)))) == 1
    assert "channels" not in caplog.text
    both = np.stack([speak(("sad", 2.0), ("", 2.0)), speak(("", 2.0), ("angry", 2.0))], 1)
    soundfile.write(tmp_path / "call.wav", both, 16_000)
    list(timeline(recogniser, tmp_path / "call.wav"))
    assert "has 2 different channels, which were averaged. If each is a speaker" in caplog.text
