import json
import os

import pandas
import pytest

from ser_hf.corpora import load_corpus
from ser_hf.corpora.columns import choose_columns
from ser_hf.corpora.table import table

SPELLINGS = {
    "path": "path file filename filepath audio audiopath audiofile audiofilepath wav wavpath wavfile",
    "emotion": "emotion emo emotionlabel emotionclass emoclass label labels class category",
    "speaker": (
        "speaker speakerid spk spkid spkr spkrid actor actorid clientid subject subjectid participant participantid"
    ),
    "gender": "gender sex",
    "age": "age",
    "language": "language lang locale",
    "session": "session sessionid dialogue dialogueid dialog dialogid",
    "split": "split splitset subset partition set",
    "text": "text transcript transcription sentence",
    "start": "start starttime begin",
    "end": "end endtime stop",
    "valence": "valence emoval",
    "arousal": "arousal activation emoact",
    "dominance": "dominance emodom",
    "votes": "votes",
}


def test_every_field_is_read(write_table, tmp_path, read_one):
    utterance = read_one(
        write_table(
            "file_name,Label,Speaker ID,sex,start_time,EndTime,subset,transcript,valence,activation,dominance,dialogue,"
            "age,lang\n"
            "a/one.wav,Anger,07,Frau,0.5,2.25,dev,Hi there,3.5,2.5,1.5,d1,34,de-AT\n"
        )
    )
    assert (utterance.path, utterance.corpus) == (str(tmp_path / "a" / "one.wav"), "table")
    assert (utterance.emotion, utterance.speaker, utterance.gender) == ("angry", "07", "female")
    assert (utterance.start, utterance.end, utterance.split) == (0.5, 2.25, "validation")
    assert (utterance.text, utterance.session, utterance.age) == ("Hi there", "d1", 34)
    assert (utterance.valence, utterance.arousal, utterance.dominance) == (3.5, 2.5, 1.5)
    assert utterance.language == "de-AT"


def test_empty_cells_are_unknown(write_table, read_one):
    utterance = read_one(write_table("path,emotion,speaker,gender,start,age,text,votes\na.wav,sad,, ,,nan,,\n"))
    for field in ("speaker", "gender", "start", "age", "text", "votes"):
        assert getattr(utterance, field) is None


@pytest.mark.parametrize(
    ("field", "spelling"), [(field, name) for field, names in SPELLINGS.items() for name in names.split()]
)
def test_every_usual_spelling_is_guessed(field, spelling):
    header = ["path"] * (field != "path") + ["emotion"] * (field != "emotion") + [spelling.upper()]
    assert choose_columns(header, table="t")[field] == spelling.upper()


@pytest.mark.parametrize("header", ["class,label,emotion,path", "emotion,path,class,label"])
def test_the_likeliest_of_several_columns_wins_in_any_order(header):
    assert choose_columns(header.split(","), table="t")["emotion"] == "emotion"


def test_of_two_columns_of_one_name_the_first_wins(write_table, read_one):
    assert read_one(write_table("path,Emotion,emotion\na.wav,sad,happy\n")).emotion == "sad"


def test_named_columns_win_over_guesses_and_are_not_guessed_again(write_table, read_one):
    path = write_table("path,emotion,label,speaker\na.wav,sad,happy,x\n")
    utterance = read_one(path, columns={"emotion": "Label ", "session": "speaker"})
    assert (utterance.emotion, utterance.session, utterance.speaker) == ("happy", "x", None)


def test_one_column_may_hold_two_fields(write_table, tmp_path, read_one):
    path = write_table("path,emotion,who\na.wav,sad,x\n")
    pandas.read_csv(path).to_parquet(tmp_path / "labels.parquet")
    for file in (path, tmp_path / "labels.parquet"):
        utterance = read_one(file, columns={"speaker": "who", "session": "who"})
        assert (utterance.speaker, utterance.session) == ("x", "x")


def test_an_empty_column_name_leaves_the_field_out(write_table, read_one):
    path = write_table("path,emotion,age,votes_sad\na.wav,sad,twenties,1\n")
    utterance = read_one(path, columns={"age": "", "votes": ""})
    assert (utterance.age, utterance.votes) == (None, None)


def test_votes_come_from_an_object_or_from_columns(write_table, read_one):
    utterance = read_one(write_table('path,emotion,votes\na.wav,sad,"{""sadness"": 2, ""sad"": 1, ""joy"": 0}"\n'))
    assert utterance.votes == {"sad": 3}
    utterance = read_one(write_table("path,emotion,Votes_Anger,votes_sad,votes_joy\na.wav,sad,0.5,2,\n"))
    assert utterance.votes == {"angry": 0.5, "sad": 2}


@pytest.mark.parametrize(
    ("cell", "split"),
    [("train", "train"), ("training", "train"), ("validation", "validation"), ("valid", "validation"),
     ("val", "validation"), ("Dev", "validation"), ("devel", "validation"), ("development", "validation"),
     ("TEST", "test"), ("testing", "test"), ("eval", "test"), ("evaluation", "test"), ("Test2", "Test2"), ("", None)],
)  # fmt: skip
def test_splits_get_their_usual_names(write_table, cell, split, read_one):
    assert read_one(write_table(f"path,emotion,split\na.wav,sad,{cell}\n")).split == split


@pytest.mark.parametrize(
    ("cell", "gender"),
    [("F", "female"), ("Female", "female"), ("Frau", "female"), ("w", "female"), ("woman", "female"),
     ("m", "male"), ("Male", "male"), ("man", "male"), ("Mann", "male"), ("unknown", None)],
)  # fmt: skip
def test_genders_get_their_usual_names(write_table, cell, gender, read_one):
    assert read_one(write_table(f"path,emotion,sex\na.wav,sad,{cell}\n")).gender == gender


@pytest.mark.parametrize(
    ("column", "cell"),
    [("valence", "high"), ("arousal", "inf"), ("age", "twenties"), ("dominance", '"1,234"'), ("votes", "sad"),
     ("votes", "3"), ("votes_sad", "-1"), ("votes_sad", "yes")],
)  # fmt: skip
def test_a_cell_that_makes_no_sense_is_an_error_with_its_row(write_table, column, cell):
    path = write_table(f"path,emotion,{column}\na.wav,sad,\nb.wav,sad,{cell}\n")
    with pytest.raises(ValueError, match="Row 3 of '.*labels.csv': .*expected .*found"):
        list(table(path))


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("path", "a file name"),
        ("valence", "a number such as 1.5"),
        ("arousal", "a number such as 1.5"),
        ("dominance", "a number such as 1.5"),
        ("age", "years"),
        ("votes", "number of annotators per emotion"),
        ("speaker", "text"),
    ],
)
def test_an_error_in_a_cell_says_what_the_field_holds(write_table, column, expected):
    path = write_table(json.dumps({"path": "a.wav", "emotion": "sad", column: [True]}), "labels.jsonl")
    with pytest.raises(ValueError, match=f"{column}: expected {expected}.*found list"):
        list(table(path))


def test_repeated_names_are_kept_once(write_table):
    cells = "Pride,Ann B,en US,day 1"  # no identifiers, which Python itself keeps once
    first, second = table(write_table(f"path,emotion,speaker,language,session\na.wav,{cells}\nb.wav,{cells}\n"))
    for field in ("emotion", "speaker", "language", "session"):
        assert getattr(first, field) is getattr(second, field)


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


def test_an_unknown_named_column_or_field_is_an_error(write_table):
    path = write_table("clip,feeling\na.wav,sad\n")
    with pytest.raises(ValueError, match=r"'felling'; its columns are \['clip', 'feeling'\]. Did you mean 'feeling'"):
        list(table(path, columns={"emotion": "felling"}))
    with pytest.raises(ValueError, match="found 'emotions'. Did you mean 'emotion'"):
        list(table(path, columns={"emotions": "feeling"}))


def test_genders_of_unknown_names_are_counted_in_one_warning(write_table, caplog):
    cells = ("weiblich", "1", "F", "", "1")
    path = write_table("path,emotion,gender\n" + "".join(f"a.wav,sad,{cell}\n" for cell in cells))
    assert [utterance.gender for utterance in table(path)] == [None, None, "female", None, None]
    (record,) = caplog.records
    assert f"3 genders of '{path}' were not recognised" in record.message
    assert "found '1' 2 times, 'weiblich' 1 times" in record.message


@pytest.mark.parametrize(
    ("start", "end", "problem"),
    [
        ("one", "2", "start: expected seconds such as 1.5, found 'one'"),
        ("1", "00:02", "end: expected seconds such as 1.5, found '00:02'"),
        ("-1", "2", "expected 0 <= start < end in seconds, found start -1 and end 2.0"),
        ("2", "1", "found start 2 and end 1.0"),
        ("", "0", "found start 0 and end 0.0"),
    ],
)
def test_a_row_whose_times_make_no_sense_is_one_problem_among_good_rows(write_table, caplog, start, end, problem):
    path = write_table(f"path,emotion,start,end\na.wav,sad,0,1\nb.wav,sad,{start},{end}\nc.wav,sad,1,2\n")
    good, bad, last = table(path)
    assert (good.problem, last.problem) == (None, None)
    assert bad.problem.startswith(f"Row 3 of '{path}': ") and problem in bad.problem
    assert "Skipped 1 of 3 rows (first: Row 3" in caplog.text


@pytest.mark.parametrize("cell", ["nan", "NaN", "None", "NULL", "-", "N/A", "<NA>", "\u2014", " \u200bnan\u00a0"])
def test_a_missing_value_is_no_emotion_and_no_speaker(write_table, caplog, cell):
    path = write_table(f"path,emotion,speaker,age\na.wav,{cell},p1,30\nb.wav,sad,{cell},{cell}\n")
    (utterance,) = table(path)
    assert (utterance.emotion, utterance.speaker, utterance.age) == ("sad", None, None)
    assert "Left out 1 of 2 rows" in caplog.text


@pytest.mark.parametrize(("cell", "seconds"), [("1.5", 1.5), ('"1,5"', 1.5), ('"0,125"', 0.125), ('"2,3456"', 2.3456)])
def test_decimal_commas_are_read(write_table, cell, seconds, read_one):
    assert read_one(write_table(f"path,emotion,start\na.wav,sad,{cell}\n")).start == seconds


def test_a_comma_of_thousands_or_decimals_is_not_guessed_unless_the_delimiter_says_it(write_table, read_one):
    assert "found '1,234'" in read_one(write_table('path,emotion,start\na.wav,sad,"1,234"\n')).problem
    utterance = read_one(write_table("path;emotion;start;votes_joy\na.wav;sad;1,234;0,5\n"))
    assert (utterance.start, utterance.votes) == (1.234, {"happy": 0.5})


def test_labels_and_speakers_of_several_spellings_are_one(write_table):
    rows = ["a.wav,Angry ,01", "b.wav,ANG\u200bRY,1", "c.wav,angry\u00a0,1.0", "d.wav,Anger,2"]
    rows = list(load_corpus("table", write_table("\n".join(["path,emotion,speaker", *rows]))))
    assert {row.emotion for row in rows} == {"angry"}
    assert [row.speaker for row in rows] == ["01", "01", "01", "2"]
