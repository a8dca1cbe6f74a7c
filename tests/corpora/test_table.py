import json
import os
import subprocess
import sys

import pandas
import pytest

from ser_hf.corpora.columns import SPELLINGS, choose_columns
from ser_hf.corpora.table import table


@pytest.fixture
def write_table(tmp_path):
    """Write a text as the table ``labels.csv``, or under another name, and return its path."""

    def write(text, name="labels.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_text(text, encoding=encoding)
        return path

    return write


def read_one(path, **options):
    (utterance,) = table(path, **options)
    return utterance


def test_every_field_is_read(write_table, tmp_path):
    utterance = read_one(
        write_table(
            "file_name,Label,Speaker ID,sex,start_time,EndTime,subset,transcript,valence,activation,dominance,dialogue,"
            "age,lang\n"
            "a/one.wav,Anger,07,Frau,0.5,2,dev,Hi there,3.5,2,1,d1,34,de-AT\n"
        )
    )
    assert (utterance.path, utterance.corpus) == (str(tmp_path / "a" / "one.wav"), "table")
    assert (utterance.emotion, utterance.speaker, utterance.gender) == ("angry", "07", "female")
    assert (utterance.start, utterance.end, utterance.split) == (0.5, 2.0, "validation")
    assert (utterance.text, utterance.session, utterance.age) == ("Hi there", "d1", 34)
    assert (utterance.valence, utterance.arousal, utterance.dominance) == (3.5, 2.0, 1.0)
    assert utterance.language == "de-AT"


def test_empty_cells_are_unknown(write_table):
    utterance = read_one(write_table("path,emotion,speaker,gender,start,age,text,votes\na.wav,sad,, ,,nan,,\n"))
    for field in ("speaker", "gender", "start", "age", "text", "votes"):
        assert getattr(utterance, field) is None


@pytest.mark.parametrize(("field", "spelling"), [(field, name) for field in SPELLINGS for name in SPELLINGS[field]])
def test_every_usual_spelling_is_guessed(field, spelling):
    header = ["path"] * (field != "path") + ["emotion"] * (field != "emotion") + [spelling.upper()]
    assert choose_columns(header, table="t")[field] == spelling.upper()


def test_no_spelling_stands_for_two_fields():
    spellings = [spelling for names in SPELLINGS.values() for spelling in names]
    assert len(spellings) == len(set(spellings))


@pytest.mark.parametrize("header", ["class,label,emotion,path", "emotion,path,class,label"])
def test_the_likeliest_of_several_columns_wins_in_any_order(header):
    assert choose_columns(header.split(","), table="t")["emotion"] == "emotion"


def test_of_two_columns_of_one_name_the_first_wins(write_table):
    assert read_one(write_table("path,Emotion,emotion\na.wav,sad,happy\n")).emotion == "sad"


def test_named_columns_win_over_guesses_and_are_not_guessed_again(write_table):
    path = write_table("path,emotion,label,speaker\na.wav,sad,happy,x\n")
    utterance = read_one(path, columns={"emotion": "Label ", "session": "speaker"})
    assert (utterance.emotion, utterance.session, utterance.speaker) == ("happy", "x", None)


def test_one_column_may_hold_two_fields(write_table, tmp_path):
    path = write_table("path,emotion,who\na.wav,sad,x\n")
    pandas.read_csv(path).to_parquet(tmp_path / "labels.parquet")
    for file in (path, tmp_path / "labels.parquet"):
        utterance = read_one(file, columns={"speaker": "who", "session": "who"})
        assert (utterance.speaker, utterance.session) == ("x", "x")


def test_an_empty_column_name_leaves_the_field_out(write_table):
    path = write_table("path,emotion,age,votes_sad\na.wav,sad,twenties,1\n")
    utterance = read_one(path, columns={"age": "", "votes": ""})
    assert (utterance.age, utterance.votes) == (None, None)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("name", ["labels.csv", "LABELS.TSV"])
def test_the_delimiter_is_found_in_the_header(write_table, delimiter, name):
    text = "\n".join(delimiter.join(row) for row in (["path", "emotion", "text"], ["a.wav", "sad", '"a, b; c"']))
    utterance = read_one(write_table(text, name))
    assert (utterance.emotion, utterance.text) == ("sad", "a, b; c")


def test_a_delimiter_within_quotes_does_not_count(write_table):
    assert read_one(write_table('"path","emotion; or, rather; label"\n"a.wav","sad"\n'), columns={
        "emotion": "emotion; or, rather; label"
    }).emotion == "sad"  # fmt: skip


def test_byte_order_marks_blanks_and_case_do_not_matter(write_table):
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


def test_votes_come_from_an_object_or_from_columns(write_table):
    utterance = read_one(write_table('path,emotion,votes\na.wav,sad,"{""sadness"": 2, ""sad"": 1, ""joy"": 0}"\n'))
    assert utterance.votes == {"sad": 3}
    utterance = read_one(write_table("path,emotion,Votes_Anger,votes_sad,votes_joy\na.wav,sad,0.5,2,\n"))
    assert utterance.votes == {"angry": 0.5, "sad": 2}


@pytest.mark.parametrize(
    ("cell", "split"),
    [("train", "train"), ("Dev", "validation"), ("valid", "validation"), ("validation", "validation"),
     ("val", "validation"), ("TEST", "test"), ("eval", "test"), ("Test2", "Test2"), ("", None)],
)  # fmt: skip
def test_splits_get_their_usual_names(write_table, cell, split):
    assert read_one(write_table(f"path,emotion,split\na.wav,sad,{cell}\n")).split == split


@pytest.mark.parametrize(
    ("cell", "gender"), [("F", "female"), ("Male", "male"), ("Frau", "female"), ("m", "male"), ("unknown", None)]
)
def test_genders_get_their_usual_names(write_table, cell, gender):
    assert read_one(write_table(f"path,emotion,sex\na.wav,sad,{cell}\n")).gender == gender


@pytest.mark.parametrize(
    ("column", "cell"),
    [("start", "one"), ("end", '"3,5"'), ("valence", "high"), ("arousal", "inf"), ("age", "twenties"),
     ("start", "-1"), ("end", "0"), ("votes", "sad"), ("votes", "3"), ("votes_sad", "-1"), ("votes_sad", "yes")],
)  # fmt: skip
def test_a_cell_that_makes_no_sense_is_an_error_with_its_row(write_table, column, cell):
    path = write_table(f"path,emotion,{column}\na.wav,sad,\nb.wav,sad,{cell}\n")
    with pytest.raises(ValueError, match="Row 3 of '.*labels.csv': .*expected .*found"):
        list(table(path))


def test_an_error_in_a_cell_says_how_to_leave_the_column_out(write_table):
    with pytest.raises(ValueError, match="age: expected years, found 'twenties'.*--columns age="):
        list(table(write_table("path,emotion,age\na.wav,sad,twenties\n")))


def test_rows_without_an_emotion_are_left_out_and_counted(write_table, caplog):
    path = write_table("path,emotion\na.wav,sad\nb.wav,\nc.wav, \nd.wav,happy\n")
    assert [utterance.emotion for utterance in table(path)] == ["sad", "happy"]
    assert "Left out 2 of 4 rows" in caplog.text
    assert "first: row 3" in caplog.text


@pytest.mark.parametrize("text", ["path,emotion\n", "path,emotion\na.wav,\n"])
def test_a_table_without_an_emotion_is_an_error(write_table, text):
    with pytest.raises(ValueError, match=r"No utterances in .*found \d rows without"):
        list(table(write_table(text)))


def test_rows_keep_the_order_of_the_table(write_table):
    path = write_table("path,emotion\n" + "".join(f"{i}.wav,sad\n" for i in (3, 1, 2)))
    assert [os.path.basename(utterance.path) for utterance in table(path)] == ["3.wav", "1.wav", "2.wav"]


def test_a_missing_column_names_those_that_are_there(write_table):
    with pytest.raises(ValueError, match=r"column for path and emotion.*\['clip', 'feeling'\].*path=… emotion=…"):
        list(table(write_table("clip,feeling\na.wav,sad\n")))
    with pytest.raises(ValueError, match=r"column for emotion in.*--columns emotion=…$"):
        list(table(write_table("path,feeling\na.wav,sad\n")))


def test_an_empty_file_is_an_error(write_table):
    for name in ("labels.csv", "labels.jsonl"):
        with pytest.raises(ValueError, match="column for path and emotion"):
            list(table(write_table("", name)))


def test_an_unknown_named_column_or_field_is_an_error(write_table):
    path = write_table("clip,feeling\na.wav,sad\n")
    with pytest.raises(ValueError, match=r"no column 'felling', but \['clip', 'feeling'\]. Did you mean 'feeling'"):
        list(table(path, columns={"emotion": "felling"}))
    with pytest.raises(ValueError, match="found 'emotions'. Did you mean 'emotion'"):
        list(table(path, columns={"emotions": "feeling"}))


def test_a_folder_may_hold_one_table(write_table, tmp_path):
    write_table("path,emotion\na.wav,sad\n")
    write_table("rubbish", "._labels.csv")
    write_table("read me", "notes.txt")
    assert read_one(tmp_path).path == str(tmp_path / "a.wav")
    write_table("path,emotion\na.wav,sad\n", "Other.TSV")
    with pytest.raises(ValueError, match=r"Expected one table .*\['Other.TSV', 'labels.csv'\]"):
        list(table(tmp_path))


def test_a_wrong_root_says_what_was_expected(write_table, tmp_path):
    with pytest.raises(FileNotFoundError, match="is not there"):
        list(table(tmp_path / "missing"))
    notes = write_table("read me", "notes.txt")
    with pytest.raises(FileNotFoundError, match=r"No table in .*\.csv, \.tsv, \.jsonl, \.parquet"):
        list(table(tmp_path))
    with pytest.raises(ValueError, match=r"Expected a table among .*found .*notes.txt"):
        list(table(notes))


def test_windows_paths_are_read(write_table, tmp_path):
    assert read_one(write_table("path,emotion\n.\\a\\b.wav,sad\n")).path == str(tmp_path / "a" / "b.wav")


@pytest.mark.skipif(os.name == "nt", reason="there it is a path like others")
@pytest.mark.parametrize("allow_outside", [True, False])
def test_a_windows_drive_is_refused(write_table, allow_outside):
    with pytest.raises(ValueError, match="Windows drive"):
        list(table(write_table("path,emotion\nC:\\a\\b.wav,sad\n"), allow_outside=allow_outside))


def test_paths_are_relative_to_audio_root(write_table, tmp_path):
    (tmp_path / "wavs").mkdir()
    path = write_table("path,emotion\na/b.wav,sad\n")
    assert read_one(path, audio_root=tmp_path / "wavs").path == str(tmp_path / "wavs" / "a" / "b.wav")
    with pytest.raises(FileNotFoundError, match="audio_root .* is not a folder"):
        list(table(path, audio_root=tmp_path / "missing"))


def test_absolute_paths_stay_inside_the_root(write_table, tmp_path):
    (tmp_path / "inside").mkdir()
    path = write_table(f"path,emotion\n{tmp_path}/inside/a.wav,sad\n")
    assert read_one(path).path == str(tmp_path / "inside" / "a.wav")
    (tmp_path / "insi").mkdir()  # its name begins like that of the other folder
    with pytest.raises(ValueError, match="Row 2 .*leads out of"):
        list(table(path, audio_root=tmp_path / "insi"))


@pytest.mark.parametrize(
    "cell", ["../a.wav", "in/../../a.wav", "..\\a.wav", "/a.wav", "//host/a.wav", "out/a.wav", "link.wav"]
)
def test_a_path_that_leads_out_is_refused_unless_allowed(tmp_path, cell):
    root, out = tmp_path / "root", tmp_path / "out"
    for folder in (root, root / "in", out):
        folder.mkdir()
    (out / "a.wav").touch()
    (root / "out").symlink_to(out)
    (root / "link.wav").symlink_to(out / "a.wav")
    (root / "labels.csv").write_text(f"path,emotion\nb.wav,sad\n{cell},happy\n")
    with pytest.raises(ValueError) as error:
        list(table(root))
    for part in ("Row 3", f"'{cell}'", "allow_outside"):
        assert part in str(error.value)
    assert len(list(table(root, allow_outside=True))) == 2


def test_links_within_the_root_are_followed(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.wav").touch()
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "two.wav").symlink_to(tmp_path / "a" / "one.wav")
    (tmp_path / "labels.csv").write_text("path,emotion\nb/one.wav,sad\ntwo.wav,sad\na/../b/one.wav,sad\n")
    assert len(list(table(tmp_path))) == 3


def test_the_root_itself_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "labels.csv").write_text("path,emotion\na.wav,sad\n")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert read_one(tmp_path / "link").path == str(tmp_path / "link" / "a.wav")


@pytest.mark.parametrize("cell", ["", ".", "a/..", "a/"])
def test_a_path_of_no_file_is_refused(write_table, cell):
    with pytest.raises(ValueError, match="Row 2 .*expected an audio file"):
        list(table(write_table(f"path,emotion\n{cell},sad\n")))


def test_the_pattern_gives_the_speaker(write_table):
    path = write_table("path,emotion,speaker\nx_1/s01_1.wav,sad,Ann\nx_1/s02_1.wav,sad,Ben\n")
    assert [utterance.speaker for utterance in table(path, speaker_pattern=r"(s\d+)_")] == ["s01", "s02"]
    assert [utterance.speaker for utterance in table(path, speaker_pattern=r"s\d+")] == ["s01", "s02"]
    with pytest.raises(ValueError, match="Row 3 .*finds no speaker in 's02_1.wav'"):
        list(table(path, speaker_pattern="(s01)"))
    with pytest.raises(ValueError, match="not a regular expression"):
        list(table(path, speaker_pattern="("))


def test_repeated_names_are_kept_once(write_table):
    first, second = table(write_table("path,emotion,speaker\na.wav,Pride,Ann B\nb.wav,Pride,Ann B\n"))
    assert first.speaker is second.speaker
    assert first.emotion is second.emotion


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
