import json

import pandas
import pytest

from ser_hf.serving.prediction_table import FORMATS, claim_table, finish_table, open_journal, read_rows

MODEL = {
    "model": "one",
    "fingerprint": "1",
    "dtype": "float32",
    "backend": "torch",
    "speech": "energy",
    "channels": "mean",
}
COLUMNS = ["path", "start", "end", "duration", "prediction", "uncertain", "score_sad", "error"]
HEARD = {"path": 'a, "b"\nü.wav', "start": 0.1, "end": 1 / 3, "duration": 0.2, "prediction": "sad", "uncertain": True}
ROWS = [
    HEARD | {"score_sad": 1e-7, "error": None},
    dict.fromkeys(COLUMNS) | {"path": "NA", "error": "None"},
    dict.fromkeys(COLUMNS)
    | {"path": "1.0", "duration": 2.0, "prediction": "null", "uncertain": False, "score_sad": 1.0},
]
KEYS = [(row["path"], row["start"], row["end"]) for row in ROWS]


def write(table, rank, *rows):
    with open_journal(table, rank) as append:
        for row in rows:
            append(row)


@pytest.mark.parametrize("suffix", FORMATS)
def test_rows_of_several_processes_become_one_table_in_the_order_asked_for(tmp_path, suffix):
    table = tmp_path / f"out{suffix}"
    claim_table(table, MODEL)
    write(table, 1, ROWS[2], ROWS[0])
    assert finish_table(table, KEYS, COLUMNS)[1] == 1
    assert not table.exists()
    write(table, 0, ROWS[1])
    rows, missing = finish_table(table, KEYS, COLUMNS)
    assert (len(rows), missing) == (3, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"out{suffix}", f"out{suffix}.model.json"]
    assert list(read_rows(table).items()) == list(zip(KEYS, ROWS, strict=True))  # floats and texts to the last bit


@pytest.mark.parametrize(("suffix", "read"), [(".csv", pandas.read_csv), (".parquet", pandas.read_parquet)])
def test_pandas_reads_the_table_with_numbers_as_numbers(tmp_path, suffix, read):
    table = tmp_path / f"out{suffix}"
    claim_table(table, MODEL)
    write(table, 0, *ROWS)
    finish_table(table, KEYS, COLUMNS)
    found = read(table)
    assert list(found.columns) == COLUMNS
    assert found[["start", "end", "duration", "score_sad"]].dtypes.eq("float64").all()


def test_a_finished_table_grows_and_keeps_what_it_holds(tmp_path):
    table = tmp_path / "out.csv"
    claim_table(table, MODEL)
    write(table, 0, ROWS[0])
    finish_table(table, KEYS[:1], COLUMNS)
    claim_table(table, MODEL)
    write(table, 0, ROWS[1])
    finish_table(table, KEYS[1:2], COLUMNS)
    assert list(read_rows(table)) == [KEYS[1], KEYS[0]]


def test_a_half_written_line_is_dropped(tmp_path):
    table = tmp_path / "out.jsonl"
    write(table, 0, ROWS[0])
    journal = tmp_path / "out.jsonl.parts" / "0.jsonl"
    journal.write_bytes(journal.read_bytes() + json.dumps(ROWS[1]).encode()[:20])
    assert list(read_rows(table)) == KEYS[:1]
    write(table, 0, ROWS[2])
    assert list(read_rows(table)) == [KEYS[0], KEYS[2]]


@pytest.mark.parametrize("finished", [False, True])
def test_rows_of_another_model_are_not_mixed_in(tmp_path, finished):
    table = tmp_path / "out.csv"
    claim_table(table, MODEL)
    write(table, 0, ROWS[0])
    if finished:
        finish_table(table, KEYS[:1], COLUMNS)
    claim_table(table, MODEL | {"model": "the same under another name"})
    with pytest.raises(FileExistsError, match="has rows of 'one' with another fingerprint: expected rows of 'two'"):
        claim_table(table, MODEL | {"model": "two", "fingerprint": "2"})
    for other in ({"dtype": "bfloat16"}, {"backend": "onnx"}):
        with pytest.raises(FileExistsError, match=f"another {next(iter(other))}"):
            claim_table(table, MODEL | other)


def test_a_strange_file_is_not_overwritten_and_a_deleted_table_is_forgotten(tmp_path):
    table = tmp_path / "out.csv"
    table.write_text("mine")
    with pytest.raises(FileExistsError, match="has rows of an unknown model"):
        claim_table(table, MODEL)
    table.unlink()
    claim_table(table, MODEL)
    claim_table(table, MODEL | {"fingerprint": "2"})
    assert json.loads((tmp_path / "out.csv.model.json").read_text())["fingerprint"] == "2"


def test_two_processes_of_one_rank_do_not_write_at_once(tmp_path):
    table = tmp_path / "out.csv"
    with open_journal(table, 0):
        with pytest.raises(RuntimeError, match=r"rank 0 is writing"), open_journal(table, 0):
            pass
        write(table, 1, ROWS[0])
    write(table, 0, ROWS[1])
    assert len(read_rows(table)) == 2


@pytest.mark.parametrize("finished", [False, True])
def test_a_row_with_an_error_gives_way_whichever_process_wrote_it(tmp_path, finished):
    table = tmp_path / "out.csv"
    claim_table(table, MODEL)
    failed = dict.fromkeys(COLUMNS) | {"path": "NA", "error": "gone for a minute"}
    heard = failed | {"prediction": "sad", "uncertain": False, "score_sad": 0.5, "error": None}
    write(table, 1, failed)
    if finished:
        finish_table(table, KEYS[1:2], COLUMNS)
    write(table, 0, heard)
    assert read_rows(table) == {KEYS[1]: heard}
    finish_table(table, KEYS[1:2], COLUMNS)
    assert table.read_text().splitlines()[1:] == ["NA,,,,sad,False,0.5,"]


def test_journals_stay_while_another_process_writes_one(tmp_path):
    table = tmp_path / "out.csv"
    claim_table(table, MODEL)
    with open_journal(table, 1) as append:  # it has seen a file that came after rank 0 began
        write(table, 0, ROWS[0])
        assert finish_table(table, KEYS[:1], COLUMNS)[1] == 0
        append(ROWS[1])
    assert list(read_rows(table)) == KEYS[:2]
    assert finish_table(table, KEYS[:2], COLUMNS)[1] == 0
    assert list(read_rows(table)) == KEYS[:2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.csv.model.json"]
