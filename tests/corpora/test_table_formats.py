import json
import os
import subprocess
import sys

import pandas
import pytest

from ser_hf.corpora import load_corpus
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


@pytest.mark.parametrize("row", ["a.wav", "a.wav,sad,x", "a.wav,sad,,x"])
def test_a_row_with_missing_or_extra_cells_is_an_error(write_table, row):
    with pytest.raises(ValueError, match="Row 3 of .*expected 2 cells, found"):
        list(table(write_table(f"path,emotion\nb.wav,sad\n{row}\n")))


def test_a_table_that_is_not_utf8_is_named_with_the_way_out(write_table):
    path = write_table("path,emotion\nä.wav,sad\n", encoding="latin-1")
    with pytest.raises(ValueError, match="labels.csv': expected a table in UTF-8.*Excel: 'CSV UTF-8'.*iconv"):
        list(table(path))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8", "utf-8-sig"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\n \n", ";;\n\n", "sep=;\n"])
def test_encodings_line_ends_and_lines_before_the_header_do_not_matter(tmp_path, encoding, ends, start):
    text = f'{start}path;emotion;text\nä.wav;sad;one\n\nb.wav;joy;"two\nlines"\n'.replace("\n", ends)
    (tmp_path / "labels.csv").write_bytes(text.encode(encoding))
    first, second = table(tmp_path)
    assert (os.path.basename(first.path), first.emotion, first.text) == ("ä.wav", "sad", "one")
    assert (second.emotion, second.text.split()) == ("happy", ["two", "lines"])


def test_columns_may_be_separated_by_bars(write_table, read_one):
    utterance = read_one(write_table("path|emotion|text\na.wav|sad|well, no; yes\n"))
    assert (utterance.emotion, utterance.text) == ("sad", "well, no; yes")


def test_a_line_that_names_the_separator_wins(write_table, read_one):
    utterance = read_one(write_table("sep=,\nfile;name,path,emotion\nx,a.wav,sad\n"), columns={"session": "file;name"})
    assert (utterance.emotion, utterance.session) == ("sad", "x")


@pytest.mark.parametrize(
    "rows",
    [
        ['a.wav,"oh,sad', "b.wav,hm,joy", "c.wav,no,sad"],
        ['a.wav,"oh,sad', "b.wav,hm,joy", 'c.wav,no",sad'],
        ['a.wav,"oh,sad', 'b.wav,hm",joy'],
        ['a.wav,"oh,sad', 'b.wav,"hm,joy'],
        ['a.wav,"oh" he said,sad'],
    ],
)
def test_a_quotation_mark_without_partner_swallows_no_row(write_table, rows):
    text = "\n".join(["path,text,emotion", "z.wav,good,sad", *rows, ""])
    with pytest.raises(ValueError, match="Row 3 of .*expected a closing quotation mark.*or save the table with tabs"):
        list(table(write_table(text)))


@pytest.mark.parametrize("rows", [['"oh,a.wav,sad', 'no",b.wav,joy'], ['"oh,a.wav,sad', "no,b.wav,joy"]])
def test_a_quotation_mark_in_the_first_column_swallows_no_row(write_table, rows):
    with pytest.raises(ValueError, match="Row 2 of .*expected a closing quotation mark"):
        list(table(write_table("\n".join(["text,path,emotion", *rows, ""]))))


def test_texts_of_several_lines_with_commas_are_no_rows(write_table, read_one):
    assert read_one(write_table('path,emotion,text\na.wav,sad,"Well, no, yes,\nand so, on"\n')).text.startswith("Well")


def test_a_repeated_header_is_left_out_and_counted(write_table, caplog):
    path = write_table("path,emotion\na.wav,sad\npath,emotion\nb.wav,joy\nPath,Emotion\n".replace("Path,E", "path,e"))
    assert [row.emotion for row in table(path)] == ["sad", "happy"]
    assert f"Left out 2 repeated headers within '{path}' (first: row 3)" in caplog.text


def test_a_header_of_another_order_is_refused(write_table):
    with pytest.raises(ValueError, match=r"Row 3 of .* is another header: expected \['path', 'emotion'\]"):
        list(table(write_table("path,emotion\na.wav,sad\nemotion,path\nsad,b.wav\n")))


def test_a_table_without_header_is_named(write_table):
    with pytest.raises(ValueError, match=r"has no header: expected a first row such as path,emotion,speaker"):
        list(table(write_table("a.wav,sad\nb.wav,joy\n")))


def test_empty_cells_beyond_the_last_column_are_ignored(write_table, read_one):
    assert read_one(write_table("path,emotion\na.wav,sad,,\n")).emotion == "sad"


def write_workbook(path, *sheets):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(f"Sheet {number}")
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_a_workbook_is_read(tmp_path, caplog):
    rows = [[], ["path", "emotion", "speaker", "start", "text"], ["a.wav", "Joy", 1, 0.5, None], ["b.wav", "#N/A"]]
    rows += [["sub\\c.wav", "sad", "01", "1,5", "x, y"]]
    path = write_workbook(tmp_path / "labels.xlsx", [], rows, [["notes"]])
    first, second = load_corpus("table", tmp_path)
    assert (first.emotion, first.speaker, first.start) == ("happy", "1", 0.5)
    assert (second.emotion, second.speaker, second.start, second.text) == ("sad", "1", 1.5, "x, y")
    assert second.path == str(tmp_path / "sub" / "c.wav")
    assert f"Read the sheet 'Sheet 1' of '{path}'; not read: ['Sheet 2']" in caplog.text
    assert "Left out 1 of 3 rows" in caplog.text and "first: row 4" in caplog.text


@pytest.mark.parametrize("name", ["labels.csv", "labels.tsv"])
def test_a_workbook_under_the_name_of_a_text_is_called_a_workbook(tmp_path, name):
    os.rename(write_workbook(tmp_path / "a.xlsx", [["path", "emotion"], ["a.wav", "sad"]]), tmp_path / name)
    with pytest.raises(ValueError, match="is a workbook of Excel: save it as .xlsx"):
        list(table(tmp_path / name))


def test_what_is_no_workbook_is_named(write_table):
    pytest.importorskip("openpyxl")
    with pytest.raises(ValueError, match="expected a workbook of Excel"):
        list(table(write_table("path,emotion\na.wav,sad\n", "labels.xlsx")))


def test_a_workbook_needs_openpyxl_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    (tmp_path / "labels.xlsx").touch()
    with pytest.raises(ImportError, match=r"pip install ser_hf\[excel\], or save it as 'CSV UTF-8'"):
        list(table(tmp_path))


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


@pytest.mark.parametrize(
    "name", ["labels.csv", *(pytest.param(f"labels.{kind}", marks=pytest.mark.slow) for kind in ("jsonl", "parquet"))]
)
def test_a_long_table_is_streamed(tmp_path, name):
    write_long_table(tmp_path / name, rows=20_000)
    utterances = table(tmp_path / name)
    next(utterances)
    before = sys.getallocatedblocks()  # counts Python's objects; the bytes are looked at in the slow test
    most = max(sys.getallocatedblocks() for i, _ in enumerate(utterances) if i % 500 == 0)
    assert most - before < 20_000  # one object or fewer for each row; an utterance that is kept takes six


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
