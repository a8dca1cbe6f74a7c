import json
import os
import subprocess
import sys

import pandas
import pytest

from ser_hf.corpora.table import table


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("name", ["labels.csv", "LABELS.TSV"])
def test_the_delimiter_is_found_in_the_header(write_table, delimiter, name, read_one):
    text = "\n".join(delimiter.join(row) for row in (["path", "emotion", "text"], ["a.wav", "sad", '"a, b; c"']))
    utterance = read_one(write_table(text, name))
    assert (utterance.emotion, utterance.text) == ("sad", "a, b; c")


def test_a_delimiter_within_quotes_does_not_count(write_table, read_one):
    assert read_one(write_table('"path","emotion; or, rather; label"\n"a.wav","sad"\n'), columns={
        "emotion": "emotion; or, rather; label"
    }).emotion == "sad"  # fmt: skip


def test_byte_order_marks_blanks_and_case_do_not_matter(write_table, read_one):
    text = "\ufeff Path , EMOTION\n\ufeff a.wav\u00a0, Sadness \n\n , \n"
    utterance = read_one(write_table(text, encoding="utf-8-sig"))
    assert (os.path.basename(utterance.path), utterance.emotion) == ("a.wav", "sad")


def test_a_quoted_cell_may_hold_a_line_break(write_table):
    first, second = table(write_table('path,emotion,text\na.wav,sad,"one\ntwo"\nb.wav,happy,x\n'))
    assert (first.text, second.emotion) == ("one\ntwo", "happy")


def test_speech_marks_in_a_tsv_stand_for_themselves(write_table):
    text = 'path\temotion\tsentence\na.wav\tsad\t"Go, he said\nb.wav\thappy\t"Go"" he said"\n'
    assert [utterance.text for utterance in table(write_table(text, "labels.tsv"))] == ['"Go, he said', 'Go" he said']


@pytest.mark.parametrize("row", ["a.wav", "a.wav,sad,x", '"a.wav,sad'])
def test_a_row_with_missing_or_extra_cells_is_an_error(write_table, row):
    with pytest.raises(ValueError, match="Row 3 of .*expected 2 cells, found"):
        list(table(write_table(f"path,emotion\nb.wav,sad\n{row}\n")))


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_table_that_is_not_utf8_is_named(write_table, encoding):
    path = write_table("path,emotion\nä.wav,sad\n", encoding=encoding)
    with pytest.raises(ValueError, match="labels.csv': expected a table in UTF-8"):
        list(table(path))


def test_jsonl_keeps_numbers_as_text_and_rows_may_leave_fields_out(write_table):
    rows = [
        {"audio_filepath": "a.wav", "label": 3, "valence": 1},
        {"audio_filepath": "b.wav", "label": 3.0, "speaker": 12, "votes": {"Anger": 2, "sad": 0}},
    ]
    text = "\ufeff" + "\n\n".join(map(json.dumps, rows)) + "\n"
    first, second = table(write_table(text, "labels.jsonl"))
    assert (first.emotion, first.valence, first.speaker) == ("3", 1.0, None)
    assert (second.emotion, second.speaker, second.votes) == ("3", "12", {"angry": 2})


@pytest.mark.parametrize(
    ("line", "message"), [("{", "Row 2 .*expected JSON"), ("[1]", "Row 2 .*expected a JSON object, found '\\[1\\]'")]
)
def test_a_broken_line_of_jsonl_is_named(write_table, line, message):
    path = write_table(f'{{"path": "a.wav", "emotion": "sad"}}\n{line}\n', "labels.jsonl")
    with pytest.raises(ValueError, match=message):
        list(table(path))


def test_parquet_gives_what_its_csv_gives(write_table, tmp_path):
    path = write_table("path,emotion,speaker,start,votes_sad\na.wav,sad,1,0.5,2\nb.wav,happy,,,\n")
    frame = pandas.read_csv(path).astype({"emotion": "category"})  # speaker is a float with a gap now
    frame.to_parquet(tmp_path / "labels.parquet")
    assert list(table(tmp_path / "labels.parquet")) == list(table(path))


def test_parquet_votes_may_be_a_struct(tmp_path):
    frame = pandas.DataFrame({"path": ["a", "b"], "emotion": ["sad", "sad"], "votes": [{"joy": 1.5}, {"sad": 2}]})
    frame.to_parquet(tmp_path / "labels.parquet")
    assert [utterance.votes for utterance in table(tmp_path)] == [{"happy": 1.5}, {"sad": 2}]


def test_audio_within_parquet_is_sent_to_the_corpus_hub(tmp_path):
    frame = pandas.DataFrame({"audio": [{"bytes": b"RIFF", "path": "a.wav"}], "emotion": ["sad"]})
    frame.to_parquet(tmp_path / "labels.parquet")
    with pytest.raises(ValueError, match="Row 1 of .*path: expected a file name .*'hub'.*found"):
        list(table(tmp_path))


def test_what_is_no_parquet_is_named(write_table):
    with pytest.raises(ValueError, match="labels.parquet': expected Parquet"):
        list(table(write_table("path,emotion", "labels.parquet")))


def test_an_empty_file_is_an_error(write_table):
    for name in ("labels.csv", "labels.jsonl"):
        with pytest.raises(ValueError, match="column for path and emotion"):
            list(table(write_table("", name)))


@pytest.mark.parametrize("name", ["labels.csv", "labels.jsonl", "labels.parquet"])
def test_a_long_table_is_streamed(tmp_path, name):
    write_long_table(tmp_path / name, rows=50_000)
    utterances = table(tmp_path / name)
    next(utterances)
    before = sys.getallocatedblocks()  # counts Python's objects; the bytes are looked at in the slow test
    most = max(sys.getallocatedblocks() for i, _ in enumerate(utterances) if i % 500 == 0)
    assert most - before < 50_000  # one object or fewer for each row; an utterance that is kept takes six


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc, as getrusage counts the parent's in")
@pytest.mark.parametrize("name", ["labels.csv", "labels.jsonl", "labels.parquet"])
def test_a_million_rows_take_a_minute_and_little_memory(tmp_path, name):
    write_long_table(tmp_path / name, rows=1_000_000)
    script = (
        "import sys, time\n"
        "from ser_hf.corpora.table import table\n"
        "started = time.monotonic()\n"
        "count = sum(1 for _ in table(sys.argv[1]))\n"
        "peak = next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(count, time.monotonic() - started, int(peak) / 1024)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / name)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    count, seconds, peak = map(float, output.split())
    print(f"{name}: {seconds:.1f} s, {peak:.0f} MiB")
    assert count == 1_000_000
    assert seconds < 60
    assert peak < 1024  # MiB


def write_long_table(path, *, rows):
    numbers = pandas.Series(range(rows))
    speakers = (numbers % 1000).astype(str)
    frame = pandas.DataFrame(
        {
            "path": "speaker_" + speakers + "/" + numbers.astype(str) + ".wav",
            "emotion": "Anger",
            "speaker": speakers,
            "start": numbers % 50 + 0.5,
            "text": "the dog is by the door, number " + numbers.astype(str),
            "votes_sad": 1,
        }
    )
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False)
