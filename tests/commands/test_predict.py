"""`ser-hf predict`: which files become which rows."""

import json
import os
from pathlib import Path

import numpy as np
import pandas
import pytest
import soundfile
from commands.predicting import predict

from ser_hf.cli import main
from ser_hf.data.hearing import Hearing
from ser_hf.serving import EmotionClassifier
from ser_hf.serving.backends import Backend
from ser_hf.serving.predict import to_row


def test_the_bar_can_be_disabled_as_all_others(model, calls, tmp_path, monkeypatch):
    options = []
    monkeypatch.setattr("ser_hf.serving.predict.tqdm", lambda items, *_, **given: options.append(given) or items)
    assert predict(model, tmp_path / "out.csv", calls) == 0
    assert options == [{"unit": "file"}]


def test_every_file_becomes_a_row_and_a_bad_one_says_why(model, calls, tmp_path, capsys):
    assert predict(model, tmp_path / "out.csv", calls) == 0
    assert "1 error (first: Cannot read" in capsys.readouterr().out
    table = pandas.read_csv(tmp_path / "out.csv")
    scores = [f"score_{emotion}" for emotion in ("angry", "happy", "neutral", "sad")]
    columns = ["path", "start", "end", "duration", "missing", "prediction", "uncertain", *scores, "error"]
    assert list(table.columns) == columns
    assert table["uncertain"].isna().all(), "nobody calibrated this model"
    assert table["path"].tolist() == sorted(map(str, calls.rglob("*.wav")))
    bad, good = table[table["error"].notna()], table[table["error"].isna()]
    assert bad["path"].tolist() == [str(calls / "text.wav")]
    assert bad[["prediction", *scores]].isna().all(axis=None)
    answers = EmotionClassifier.from_pretrained(model)(good["path"].tolist())
    for (_, row), answer in zip(good.iterrows(), answers, strict=True):
        assert row["prediction"] == next(iter(answer))
        assert {name: row[f"score_{name}"] for name in answer} == pytest.approx(answer, abs=1e-6)
    assert json.loads((tmp_path / "out.csv.model.json").read_text())["model"] == "whisper"


def test_files_globs_and_tables_name_each_file_once(model, calls, tmp_path):
    (calls / "list.tsv").write_text("file_name\tbegin\tend\nday 0/00.wav\t0.1\t0.25\nday 1/01.wav\t\t\n")
    (tmp_path / "other.csv").write_text(f"label,recording\nsad,{calls}/day 1/03.wav\n")
    paths = (calls / "day 0/00.wav", calls / "**/*0.wav", calls / "list.tsv", tmp_path / "gone.wav")
    assert predict(model, tmp_path / "out.jsonl", *paths) == 0
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(row["path"], row["start"], row["end"]) for row in rows] == [
        (f"{calls}/day 0/00.wav", None, None),
        (f"{calls}/day 0/10.wav", None, None),
        (f"{calls}/day 0/00.wav", 0.1, 0.25),
        (f"{calls}/day 1/01.wav", None, None),
        (f"{tmp_path}/gone.wav", None, None),
    ]
    assert rows[2]["duration"] == pytest.approx(0.15)
    assert "No such file" in rows[4]["error"]
    argv = ["predict", str(tmp_path / "other.csv"), "--model", str(model), "--output", str(tmp_path / "other.parquet")]
    assert main([*argv, "--columns", "path=recording"]) == 0
    assert pandas.read_parquet(tmp_path / "other.parquet")["path"].tolist() == [f"{calls}/day 1/03.wav"]


def test_nothing_to_predict_ends_in_one_sentence_and_exit_code_2(calls, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.xyz").touch()
    (tmp_path / "table.csv").write_text("emotion\nsad\n")
    for path, message in (
        (tmp_path / "empty", "No audio in"),
        (calls / "*.flac", "No audio in"),
        (tmp_path / "typo.wav", "Expected audio files, found none of 1 (first: "),
        (tmp_path / "table.csv", "Expected a column for path"),
        (tmp_path / "other", "1 file without an extension of audio"),
    ):
        assert predict("nobody", tmp_path / "out.csv", path) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["predict", str(calls), "--model", "nobody", "--output", "out.csv", "--batch_size", "0"])
    assert "batch_size: expected 1 or more, found 0" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        predict("nobody", tmp_path / "out.xlsx", calls)
    assert "expected the extension .csv or .json or .jsonl or .parquet" in capsys.readouterr().err


@pytest.mark.parametrize("item", ["nonsense=path", "path", "speaker=who"])
def test_a_column_for_an_unknown_field_is_refused_for_folders_too(calls, item, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["predict", str(calls), "--model", "nobody", "--columns", "start=begin", item])
    assert f"columns: expected path=COLUMN, start=COLUMN, end=COLUMN, found ['{item}']." in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"not audio", b"RIFF\x24\x00\x00\x00WAVEfmt "])
def test_a_table_of_errors_only_ends_with_exit_code_1(model, tmp_path, capsys, content):
    (tmp_path / "bad").mkdir()
    for name in ("a.wav", "b.flac"):
        (tmp_path / "bad" / name).write_bytes(content)
    assert predict(model, tmp_path / "out.csv", tmp_path / "bad") == 1
    assert capsys.readouterr().out.startswith("2 errors (first: ")
    assert pandas.read_csv(tmp_path / "out.csv")["error"].notna().all()


@pytest.mark.parametrize(("start", "end", "duration"), [(0.1, 0.4, "0.3"), (0.1, 0.3, "0.2"), (0.05, 0.4, "0.35")])
def test_durations_have_no_rounding_errors(model, tmp_path, write_audio, start, end, duration):
    write_audio(tmp_path / "a.wav", seconds=0.5, rate=44_100)
    (tmp_path / "list.csv").write_text(f"path,start,end\na.wav,{start},{end}\n")
    assert predict(model, tmp_path / "out.csv", tmp_path / "list.csv") == 0
    assert (tmp_path / "out.csv").read_text().splitlines()[1].split(",")[3] == duration


def test_a_table_saved_by_a_spreadsheet_is_read_as_the_corpus_reads_it(model, calls, tmp_path, capsys):
    rows = "sep=;\nDatei;file name;begin;end\nx;day 0\\00.wav;0,1;0,25\nx;day 1\\01.wav;0,3;0,1\nx;day 1\\03.wav;now;\n"
    (calls / "list.csv").write_bytes(rows.encode("utf-16"))
    assert predict(model, tmp_path / "out.jsonl", calls / "list.csv") == 0
    good, bad = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert (good["path"], good["start"], good["duration"]) == (f"{calls}/day 0/00.wav", 0.1, pytest.approx(0.15))
    assert (bad["path"], bad["start"], bad["end"]) == (f"{calls}/day 1/01.wav", 0.3, 0.1)
    assert bad["error"] and bad["prediction"] is None


def test_what_is_no_audio_is_called_what_it_is_in_its_row(model, tmp_path, write_audio):
    write_audio(tmp_path / "calls" / "a.wav")
    (tmp_path / "calls" / "b.wav").write_text("<html>Sign in</html>")
    assert predict(model, tmp_path / "out.csv", tmp_path / "calls") == 0
    assert "is not audio but an HTML page: download it again" in pandas.read_csv(tmp_path / "out.csv")["error"][1]


def test_links_out_of_a_folder_are_followed_and_one_that_leads_nowhere_is_a_row(model, tmp_path, write_audio):
    write_audio(tmp_path / "store" / "a.wav")
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls" / "a.wav").symlink_to(tmp_path / "store" / "a.wav")
    (tmp_path / "calls" / "b.wav").symlink_to(tmp_path / "store" / "gone.wav")
    assert predict(model, tmp_path / "out.csv", tmp_path / "calls") == 0
    good, bad = pandas.read_csv(tmp_path / "out.csv").to_dict("records")
    assert (Path(good["path"]).name, good["duration"]) == ("a.wav", 0.5)
    assert Path(bad["path"]).name == "b.wav" and "is a link to a file that does not exist" in bad["error"]


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".parquet"])
def test_a_name_that_is_not_utf8_is_escaped_and_keeps_one_row(model, tmp_path, write_audio, suffix):
    (tmp_path / "calls").mkdir()
    write_audio(tmp_path / "calls" / "a.wav")
    os.rename(tmp_path / "calls" / "a.wav", tmp_path / "calls" / os.fsdecode(b"caf\xe9.wav"))
    (tmp_path / "calls" / os.fsdecode(b"\xff.wav")).write_text("no audio")
    read = {
        ".csv": pandas.read_csv,
        ".json": pandas.read_json,
        ".jsonl": lambda path: pandas.read_json(path, lines=True),
    }
    for _ in range(2):
        assert predict(model, tmp_path / f"out{suffix}", tmp_path / "calls") == 0
        table = read.get(suffix, pandas.read_parquet)(tmp_path / f"out{suffix}")
        assert table["path"].tolist() == [rf"{tmp_path}/calls/caf\xe9.wav", rf"{tmp_path}/calls/\xff.wav"]
        assert isinstance(table["error"][1], str)


@pytest.mark.parametrize(("threshold", "uncertain"), [(0.61, True), (0.6, False), (None, None)])
def test_a_best_score_below_the_threshold_is_uncertain(tmp_path, write_audio, threshold, uncertain):
    write_audio(tmp_path / "a.wav")
    scores = np.array([[0.4, 0.6]])
    backend = Backend("torch", ["angry", "sad"], lambda _: scores, uncertainty_threshold=threshold)
    classifier = EmotionClassifier(backend, Hearing())
    good, bad = classifier.predict_files([tmp_path / "a.wav", tmp_path / "gone.wav"])
    row = to_row(good, classifier)
    assert (row["prediction"], row["uncertain"], row["score_angry"]) == ("sad", uncertain, 0.4)
    assert to_row(bad, classifier)["uncertain"] is None


def test_silence_has_no_prediction_and_a_file_that_breaks_off_says_how_much_is_missing(model, tmp_path, write_audio):
    for name in ("whole", "cut", "cut_too"):
        write_audio(tmp_path / f"calls/{name}.wav", seconds=2.0)
    for name in ("cut", "cut_too"):
        content = (tmp_path / f"calls/{name}.wav").read_bytes()
        (tmp_path / f"calls/{name}.wav").write_bytes(content[: len(content) // 2])
    soundfile.write(tmp_path / "calls/silent.wav", np.zeros(16_000), 16_000)
    soundfile.write(tmp_path / "calls/voice.ogg", np.random.default_rng(0).uniform(-0.3, 0.3, 48_000), 16_000)
    content = (tmp_path / "calls/voice.ogg").read_bytes()
    (tmp_path / "calls/voice.ogg").write_bytes(content[: len(content) // 2])
    (tmp_path / "calls.csv").write_text("path,start,end\ncalls/cut.wav,0.2,0.8\ncalls/cut_too.wav,0.2,1.4\n")
    assert predict(model, tmp_path / "out.csv", tmp_path / "calls", tmp_path / "calls.csv") == 0
    rows = pandas.read_csv(tmp_path / "out.csv")
    rows["path"] = [Path(path).stem for path in rows["path"]]
    assert rows[["path", "start", "end", "duration"]].fillna(-1).values.tolist() == [
        ["cut", -1, -1, pytest.approx(1.0, abs=0.01)],
        ["cut_too", -1, -1, pytest.approx(1.0, abs=0.01)],
        ["silent", -1, -1, 1.0],
        ["voice", -1, -1, pytest.approx(1.2, abs=0.5)],
        ["whole", -1, -1, 2.0],
        ["cut", 0.2, 0.8, pytest.approx(0.6)],
        ["cut_too", 0.2, 1.4, pytest.approx(0.8, abs=0.01)],
    ]
    assert rows["missing"].tolist() == pytest.approx([1.0, 1.0, 0.0, np.nan, 0.0, 0.0, 0.4], abs=0.01, nan_ok=True)
    assert rows["prediction"].isna().tolist() == [False, False, True, False, False, False, False]
    assert "is silent (all samples are 0): expected speech" in rows["error"][2]


def test_silent_windows_of_a_long_file_do_not_count(tmp_path):
    tone = 0.3 * np.sin(np.arange(32_000) * 0.1)
    soundfile.write(tmp_path / "long.wav", np.concatenate([tone, np.zeros(64_000), tone]), 16_000)
    asked = []
    backend = Backend(
        "torch", ["happy", "sad"], lambda waveforms: asked.extend(waveforms) or np.ones((len(waveforms), 2))
    )
    (row,) = EmotionClassifier(backend, Hearing(max_duration=1.0)).predict_files([tmp_path / "long.wav"])
    assert (row.error, row.duration, row.missing) == (None, 8.0, 0.0)
    assert asked
    assert all(np.ptp(waveform) > 0.1 for waveform in asked)


def test_times_that_do_not_fit_the_files_are_one_warning_with_the_cause(model, calls, tmp_path, caplog):
    rows = "".join(f"day {i % 2}/{i:02d}.wav,{60 * i + 60},{60 * i + 60.4}\n" for i in range(11))
    (calls / "calls.csv").write_text(f"path,start,end\n{rows}")
    assert predict(model, tmp_path / "out.csv", calls / "calls.csv") == 1
    assert "11 of 11 segments are not within their files" in caplog.text
    assert "count from the start of the dialogue" in caplog.text


def test_the_columns_of_a_table_are_kept_and_those_with_a_name_of_the_output_renamed(model, calls, tmp_path):
    (calls / "list.csv").write_text(
        "id,file,speaker,duration,overlap,score_x,note\n007,day 0/00.wav,Anna,5,yes,high,=1+1\n8,day 1/01.wav,,,,,\n"
    )
    for suffix, read in ((".csv", pandas.read_csv), (".parquet", pandas.read_parquet), (".json", pandas.read_json)):
        for _ in range(2):
            assert predict(model, tmp_path / f"out{suffix}", calls / "list.csv") == 0
        table = read(tmp_path / f"out{suffix}", **({"dtype": str} if suffix != ".parquet" else {}))
        kept = ["id", "speaker", "input_duration", "input_overlap", "input_score_x", "note"]
        assert list(table.columns)[3:10] == [*kept, "duration"]
        first, second = table.to_dict("records")
        note = "'=1+1" if suffix == ".csv" else "=1+1"  # an apostrophe keeps a spreadsheet from computing it
        assert [first[name] for name in kept] == ["007", "Anna", "5", "yes", "high", note]
        assert second["id"] == "8" and first["path"] == f"{calls}/day 0/00.wav"


def test_without_an_output_each_file_is_a_line_and_a_single_one_has_all_scores(model, calls, tmp_path, capsys):
    path = calls / "day 0/00.wav"
    assert main(["predict", str(path), "--model", str(model)]) == 0
    head, line, scores, tally = capsys.readouterr().out.splitlines()
    emotion, _, percent, *place = line.split()
    assert head.split() == ["emotion", "score", "file"] and percent == "%"
    assert " ".join(place) == str(path)
    assert scores.startswith(f"All scores: {emotion} ") and scores.count("%") == 4
    assert tally == f"1 {emotion}"
    assert main(["predict", str(calls), "--model", str(model)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 14
    assert sum(line.startswith("error") for line in lines) == 1 and "text.wav: Cannot read" in lines[12]
    assert "1 error (first: Cannot read" in lines[-1]
    assert sorted(tmp_path.iterdir()) == [calls]


def test_a_recording_without_speech_is_said_to_have_none(model, tmp_path, capsys):
    hiss = 1e-3 * np.random.default_rng(0).standard_normal(40 * 16_000)
    soundfile.write(tmp_path / "hiss.wav", hiss, 16_000, subtype="FLOAT")
    assert main(["predict", str(tmp_path / "hiss.wav"), "--model", str(model)]) == 1
    assert "has sound but no speech: expected speech" in capsys.readouterr().out
