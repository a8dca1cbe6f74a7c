"""No command writes over what it reads."""

import os

import pytest

from ser_hf.cli import main

TURNS = "SPEAKER talk 1 0 0.4 <NA> <NA> Anna <NA> <NA>\n"


@pytest.fixture
def folder(tmp_path, write_audio, monkeypatch):
    write_audio(tmp_path / "talk.wav")
    (tmp_path / "talk.rttm").write_text(TURNS)
    (tmp_path / "turns.csv").write_text("start,end,speaker\n0,0.4,Anna\n")
    (tmp_path / "list.csv").write_text("path\ntalk.wav\n")
    os.symlink("talk.rttm", tmp_path / "link.rttm")
    os.link(tmp_path / "turns.csv", tmp_path / "hard.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        "timeline talk.wav --speakers talk.rttm --output talk.rttm",
        "timeline talk.wav --speakers talk.rttm --output new.csv link.rttm",
        "timeline talk.wav --speakers turns.csv --output ./hard.csv",
        "predict talk.wav --speakers turns.csv --output turns.csv",
        "predict list.csv --output list.csv",
        "predict l*.csv --output list.csv",
        "data check list.csv --output list.csv",
        "data check talk.wav --output talk.wav",
    ],
)
def test_a_file_that_is_read_is_not_written_over(folder, words, capsys):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main([*words.split(), "--model", "missing"]) == 2
    assert "output: expected another file than those that are read, found '" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_two_outputs_are_different_files(folder, capsys):
    words = "timeline talk.wav --model missing --output a.csv a.json ./a.csv"
    assert main(words.split()) == 2
    assert "output: expected different files, found './a.csv' twice" in capsys.readouterr().err
