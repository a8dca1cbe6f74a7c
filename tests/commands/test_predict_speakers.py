"""`ser-hf predict` on recordings of which is known who speaks when."""

import re
from pathlib import Path

import pandas
import pytest
from commands.predicting import predict

from ser_hf.cli import main
from ser_hf.serving.predict import summarize_rows

RTTM = """SPEAKER talk 1 0.0 1.5 <NA> <NA> Anna <NA> <NA>
SPEAKER talk 1 1.2 1.3 <NA> <NA> Bo <NA> <NA>
SPEAKER talk 1 3.0 1.0 <NA> <NA> Anna <NA> <NA>
"""


@pytest.fixture
def talk(tmp_path, write_audio):
    write_audio(tmp_path / "talk.wav", seconds=4.0)
    (tmp_path / "talk.rttm").write_text(RTTM)
    return tmp_path / "talk.wav"


@pytest.mark.parametrize("beside", [True, False])
def test_each_turn_has_a_row_with_its_speaker_and_each_speaker_a_summary(model, talk, tmp_path, capsys, beside):
    inputs = [str(talk.with_suffix(".rttm"))] if beside else [str(talk), "--speakers", str(talk.with_suffix(".rttm"))]
    assert main(["predict", *inputs, "--model", str(model), "--output", str(tmp_path / "out.csv")]) == 0
    table = pandas.read_csv(tmp_path / "out.csv")
    assert table[["path", "start", "end", "speaker", "overlap", "duration"]].values.tolist() == [
        [str(talk), 0.0, 1.5, "Anna", True, 1.5],
        [str(talk), 1.2, 2.5, "Bo", True, 1.3],
        [str(talk), 3.0, 4.0, "Anna", False, 1.0],
    ]
    assert table["prediction"].notna().all()
    anna, bo, tally = capsys.readouterr().out.splitlines()
    assert anna.startswith("Anna: 0:02.5 of audio: ") and bo.startswith("Bo: 0:01.3 of audio: ")
    assert sum(map(int, re.findall(r"(\d+) (?:angry|happy|neutral|sad)", tally))) == 3
    assert tally.endswith(str(tmp_path / "out.csv"))


def test_an_rttm_of_several_recordings_gives_each_its_turns(model, talk, tmp_path, write_audio, capsys):
    write_audio(tmp_path / "other.flac", seconds=1.0)
    more = "SPEAKER other 1 0 1 <NA> <NA> Cleo <NA> <NA>\nSPEAKER gone 1 0 1 <NA> <NA> Dan <NA> <NA>\n"
    (tmp_path / "all.rttm").write_text(RTTM + more)
    assert predict(model, tmp_path / "out.csv", tmp_path / "all.rttm") == 0
    table = pandas.read_csv(tmp_path / "out.csv")
    assert [Path(path).name for path in table["path"]] == ["talk.wav"] * 3 + ["other.flac", "gone.wav"]
    assert table["speaker"].tolist() == ["Anna", "Bo", "Anna", "Cleo", "Dan"]
    assert "No such file" in table["error"][4]
    argv = ["--model", str(model), "--output", str(tmp_path / "two.csv"), "--speakers"]
    both = ["predict", str(talk), str(tmp_path / "other.flac"), *argv]
    assert main([*both, str(tmp_path / "all.rttm")]) == 0
    assert pandas.read_csv(tmp_path / "two.csv")["speaker"].tolist() == ["Anna", "Bo", "Anna", "Cleo"]
    (tmp_path / "turns.csv").write_text("start,end,speaker\n0,1,Anna\n")
    assert main([*both, str(tmp_path / "turns.csv")]) == 2
    assert "expected an RTTM, which names its recordings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("turns.csv", "start,end\n0,1\n", "expected the columns start, end and speaker, found no speaker"),
        (
            "turns.rttm",
            RTTM.replace("talk", "a") + RTTM.replace("talk", "b"),
            "holds turns of a, b, and none of 'talk'",
        ),
        ("turns.rttm", "", "holds no turn of"),
        ("turns.txt", "0 1 Anna", "expected a file with the extension .rttm"),
    ],
)
def test_speakers_of_another_file_or_without_names_are_refused(model, talk, tmp_path, capsys, name, content, message):
    (tmp_path / name).write_text(content)
    assert main(["predict", str(talk), "--model", str(model), "--speakers", str(tmp_path / name)]) == 2
    assert message in capsys.readouterr().err


def test_turns_after_the_end_of_the_recording_are_error_rows_and_a_warning(model, talk, tmp_path, caplog):
    (tmp_path / "talk.rttm").write_text("SPEAKER talk 1 60 5 <NA> <NA> Anna <NA> <NA>\n")
    assert predict(model, tmp_path / "out.csv", tmp_path / "talk.rttm") == 1
    assert "holds no sample between 60 s and 65 s: it ends at 4 s" in pandas.read_csv(tmp_path / "out.csv")["error"][0]
    assert "1 of 1 segment are not within their files" in caplog.text


def test_speakers_of_several_recordings_are_told_apart():
    row = {
        "start": 0.0,
        "duration": 2.0,
        "prediction": "sad",
        "uncertain": None,
        "speaker": "S0",
        "score_sad": 1.0,
        "error": None,
    }
    summaries = summarize_rows([row | {"path": path} for path in ("b/b.wav", "a/a.wav", "a/a.wav")], "categories")
    assert [(summary.speaker, summary.seconds) for summary in summaries] == [("a.wav, S0", 4.0), ("b.wav, S0", 2.0)]
    (alone,) = summarize_rows([row | {"path": "a.wav"}], "categories")
    assert alone.speaker == "S0"
