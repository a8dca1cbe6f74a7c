"""Names of files that are not UTF-8, from the disk into tables and back."""

import csv
import os
import sys

import numpy as np
import pandas
import pytest
import soundfile

from ser_hf.cli import main
from ser_hf.corpora import Utterance, load_corpus
from ser_hf.corpora.spelling import as_utf8, spell, unspell
from ser_hf.data import build_dataset, prepare_audio, read_headers, write_utterances
from ser_hf.data.audit import Finding, describe_findings, findings_as_json
from ser_hf.data.dataset import load_row
from ser_hf.data.preparation import AudioProblem
from ser_hf.runs.speech_data import write_problems

UNICODE_NAMES = pytest.mark.skipif(sys.getfilesystemencoding() != "utf-8", reason="file names are ASCII here")

NAMES = {b"s1_\xe4.wav": r"s1_\xe4.wav", rb"s1_\xe4.wav": r"s1_\x5cxe4.wav", "s1_ä.wav".encode(): "s1_ä.wav"}


@pytest.fixture
def corpus(tmp_path):
    """A folder of two emotions, each with three names that look alike and one in ASCII."""
    for number, emotion in enumerate(("angry", "sad")):
        (tmp_path / "data" / emotion).mkdir(parents=True)
        for place, name in enumerate([*NAMES, b"s2_a.wav"]):
            tone = 0.3 * np.sin(np.arange(8_000) * 0.02 * (1 + place + 4 * number))
            with open(os.path.join(os.fsencode(tmp_path / "data" / emotion), name), "wb") as file:
                soundfile.write(file, tone, 16_000, format="WAV")
    return tmp_path / "data"


@UNICODE_NAMES
@pytest.mark.parametrize(
    "name", [*NAMES, b"a\\b.wav", b"\\x5c\xff\\xff.wav", "語.wav".encode(), b"plain", b"a\\x41.wav"]
)
def test_each_name_has_a_spelling_of_its_own_in_utf_8(name):
    spelled = spell(os.fsdecode(name))
    assert spelled.encode()
    assert os.fsencode(unspell(spelled)) == name


def test_names_are_spelled_by_their_bytes():
    assert {name: spell(os.fsdecode(name)) for name in NAMES} == NAMES
    assert as_utf8("no 'a\udce4.wav' in C:\\x5c") == r"no 'a\xe4.wav' in C:\x5c"


@UNICODE_NAMES
def test_datasets_hold_the_spelling_and_read_the_file(corpus):
    utterances = list(load_corpus("folder", corpus))
    split, problems = prepare_audio({"train": utterances})
    assert (len(split["train"]), problems) == (8, [])
    dataset = build_dataset(split, {"folder": corpus})["train"]
    assert {path.rpartition("/")[2] for path in dataset["path"]} == {*NAMES.values(), "s2_a.wav"}
    assert len({load_row(row).tobytes() for row in dataset}) == 8


@UNICODE_NAMES
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_of_a_corpus_is_read_back(corpus, tmp_path, suffix):
    table = corpus / f"all{suffix}"
    assert write_utterances(load_corpus("folder", corpus), table) == 8
    found = {os.fsencode(row.path) for row in load_corpus("table", table, allow_outside=True)}
    assert found == {os.fsencode(row.path) for row in load_corpus("folder", corpus)}
    assert read_headers(load_corpus("table", table, allow_outside=True))["readable"].all()


def test_problems_and_findings_are_valid_utf_8(tmp_path):
    path = os.fsdecode(b"/data/s1_\xe4.wav")
    write_problems([AudioProblem(path, "skipped", f"'{path}' is silent")], tmp_path)
    (row,) = csv.DictReader((tmp_path / "audio_problems.csv").open(encoding="utf-8"))
    assert row == {"path": r"/data/s1_\xe4.wav", "action": "skipped", "reason": r"'/data/s1_\xe4.wav' is silent"}
    finding = Finding("silent", "fault", (path,), ("train",), f"'{path}' is silent")
    for text in (findings_as_json([finding], "/data"), describe_findings([finding], "/data")):
        assert text.encode() and "s1_" in text


@pytest.mark.parametrize("command", ["summary", "table", "audit", "gallery"])
def test_every_command_about_data_works(corpus, tmp_path, monkeypatch, command):
    output = {"summary": "a.png", "table": "a.csv", "audit": "a.json", "gallery": "a.png"}[command]
    argv = ["data", command, "--corpus", "folder", "--data_root", str(corpus), "--output", str(tmp_path / output)]
    assert main(argv) == 0
    assert (tmp_path / output).stat().st_size


def test_an_emotion_of_a_folder_in_latin_1_is_text(tmp_path):
    for folder in (b"w\xfctend", b"traurig"):
        os.makedirs(os.path.join(os.fsencode(tmp_path), folder))
        with open(os.path.join(os.fsencode(tmp_path), folder, b"a.wav"), "wb") as file:
            soundfile.write(file, np.sin(np.arange(8_000) * 0.02 * len(folder)), 16_000, format="WAV")
    utterances = list(load_corpus("folder", tmp_path))
    assert sorted(utterance.emotion for utterance in utterances)[-1] == r"w\xfctend"
    assert isinstance(utterances[0], Utterance)
    assert pandas.notna(read_headers(utterances)["duration"]).all()
