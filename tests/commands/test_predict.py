"""`ser-hf predict`, in this process; the slow test kills a real one."""

import collections
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
import soundfile
from architectures import feature_extractor, tiny_model

from ser_hf.cli import main
from ser_hf.commands.predict import EXAMPLES
from ser_hf.data.hearing import Hearing
from ser_hf.serving import EmotionClassifier
from ser_hf.serving.backends import Backend
from ser_hf.serving.predict import identify_model, summarize_rows, to_row


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "whisper"
    tiny_model("whisper").save_pretrained(folder)
    feature_extractor("whisper").save_pretrained(folder)
    return folder


@pytest.fixture
def calls(tmp_path, write_audio):
    """A folder of twelve files, of which one is no audio."""
    for i in range(11):
        write_audio(tmp_path / f"calls/day {i % 2}/{i:02d}.wav", seconds=0.3 + 0.02 * i, frequency=150 + 40 * i)
    (tmp_path / "calls/text.wav").write_text("not audio")
    return tmp_path / "calls"


@pytest.fixture
def asked(monkeypatch):
    """Collect the paths that are predicted; ``asked.stop_after`` of them, Ctrl+C is pressed."""
    predict_files = EmotionClassifier.predict_files

    class Asked(list):
        stop_after = None

    paths = Asked()

    def spy(self, keys, **options):
        for prediction in predict_files(self, keys, **options):
            if len(paths) == paths.stop_after:
                raise KeyboardInterrupt
            paths.append(prediction.path)
            yield prediction

    monkeypatch.setattr(EmotionClassifier, "predict_files", spy)
    return paths


def predict(model, output, *paths):
    return main(["predict", *map(str, paths), "--model", str(model), "--output", str(output)])


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


def test_one_of_two_processes_is_cut_off_and_started_again(model, calls, tmp_path, asked, monkeypatch, capsys):
    out = tmp_path / "out.csv"

    def run(rank, *, stop_after=None):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        asked.stop_after = stop_after
        return predict(model, out, calls)

    assert run(1, stop_after=2) == 130
    journal = tmp_path / "out.csv.parts" / "1.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"path": "ha')
    assert run(0) == 0
    assert "are not finished by other processes" in capsys.readouterr().out
    assert not out.exists()
    assert run(1) == 0
    assert collections.Counter(asked) == collections.Counter(map(str, calls.rglob("*.wav")))
    assert pandas.read_csv(out)["path"].tolist() == sorted(asked)
    before = out.read_bytes()
    assert run(0) == run(1) == 0
    assert (asked[12:], out.read_bytes()) == ([str(calls / "text.wav")], before)


def test_a_folder_that_grew_adds_rows_and_another_model_is_refused(model, calls, tmp_path, asked, write_audio, capsys):
    out = tmp_path / "out.parquet"
    assert predict(model, out, calls) == 0
    write_audio(calls / "new.wav")
    assert predict(model, out, calls) == 0
    assert asked[12:] == [str(calls / "new.wav"), str(calls / "text.wav")]
    assert len(pandas.read_parquet(out)) == 13
    other = tmp_path / "other"
    tiny_model("whisper", emotions=("angry", "sad")).save_pretrained(other)
    feature_extractor("whisper").save_pretrained(other)
    assert predict(other, out, calls) == 2
    assert "rows of 'whisper' with another fingerprint: expected rows of 'other'" in capsys.readouterr().err
    assert len(pandas.read_parquet(out)) == 13


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


def test_a_file_with_an_error_is_tried_again_and_keeps_one_row(model, calls, tmp_path, asked, write_audio):
    assert predict(model, tmp_path / "out.csv", calls) == 0
    write_audio(calls / "text.wav")
    assert predict(model, tmp_path / "out.csv", calls) == 0
    table = pandas.read_csv(tmp_path / "out.csv")
    assert table["path"].tolist() == sorted(map(str, calls.rglob("*.wav")))
    assert table["error"].isna().all() and table["prediction"].notna().all()
    assert asked[12:] == [str(calls / "text.wav")]


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


def test_the_fingerprint_is_of_all_files_that_run_and_of_no_others(tmp_path):
    own = ("config.json", "preprocessor_config.json", "head.json", "head.skops")
    weights = ("model.safetensors", "pytorch_model-1.bin")
    onnx = ("onnx/model.onnx", "onnx/model.onnx.data")
    others = ("onnx/model_quantized.onnx", "recipe.yaml", "README.md")
    (tmp_path / "onnx").mkdir()
    for name in (*own, *weights, *onnx, *others):
        (tmp_path / name).write_text("before")

    def describe(backend):
        classifier = SimpleNamespace(
            task="categories", backend=backend, emotions=[], uncertainty_threshold=None, hearing=Hearing()
        )
        return identify_model(classifier, str(tmp_path), "float32")

    def changing(backend):
        """Return the files whose change changes the fingerprint."""
        found = set()
        for name in (*own, *weights, *onnx, *others):
            before = describe(backend)["fingerprint"]
            (tmp_path / name).write_text(f"after {backend}")
            found |= {name} if describe(backend)["fingerprint"] != before else set()
        return found

    assert changing("torch") == {*own, *weights}
    assert changing("onnx") == {*own, *onnx}
    assert describe("onnx")["backend"] == "onnx"


@pytest.mark.slow
def test_the_command_of_the_help_text_shares_files_on_any_machine(model, calls, tmp_path):
    (command,) = re.findall("accelerate launch .* predict", EXAMPLES)
    program, *words = command.replace("--num_processes 4", "--num_processes 2").split()
    argv = [Path(sys.executable).with_name(program), *words, calls, "--model", model, "--output", tmp_path / "out.csv"]
    alone = os.environ | {"HF_HOME": str(tmp_path / "home")}  # where accelerate would look for settings
    alone["TQDM_DISABLE"] = ""  # show the bars, though there is no terminal
    run = subprocess.run(list(map(str, argv)), env=alone, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-3000:]
    assert pandas.read_csv(tmp_path / "out.csv")["path"].tolist() == sorted(map(str, calls.rglob("*.wav")))
    shares = [int(total) for total in re.findall(r"Predicting: 100%\S* (\d+)/\1", run.stderr)]
    assert ", 1 error (first: " in run.stdout
    assert shares and max(shares) < 12, "one process did all of it"


@pytest.mark.slow
def test_two_real_processes_predict_200_files_though_one_is_killed(model, tmp_path, write_audio):
    for i in range(200):
        write_audio(tmp_path / f"calls/{i:03d}.wav", seconds=4 + 0.01 * (i % 7), frequency=100 + i)
    argv = [sys.executable, "-m", "ser_hf.cli", "predict", str(tmp_path / "calls"), "--model", str(model)]
    argv += ["--output", str(tmp_path / "out.csv"), "--batch_size", "1"]

    def start(rank):
        ranks = {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2"}
        return subprocess.Popen(argv, env=os.environ | ranks, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    processes = [start(0), start(1)]
    journal = tmp_path / "out.csv.parts" / "1.jsonl"
    deadline = time.monotonic() + 120
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 5):
        assert processes[1].poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    processes[1].send_signal(signal.SIGKILL)
    processes[1].communicate()
    written = journal.read_bytes().count(b"\n")
    assert written < 90, "killed too late to prove anything"
    processes[1] = start(1)
    for process in processes:
        _, stderr = process.communicate(timeout=200)
        assert process.returncode == 0, stderr[-3000:]
    table = pandas.read_csv(tmp_path / "out.csv")
    assert table["path"].tolist() == sorted(map(str, (tmp_path / "calls").iterdir()))
    assert table["error"].isna().all()


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


def test_columns_are_added_to_a_finished_table(model, calls, tmp_path, asked):
    assert predict(model, tmp_path / "out.csv", calls / "day 0/00.wav") == 0
    (calls / "list.csv").write_text("path,speaker\nday 0/00.wav,Anna\n")
    assert predict(model, tmp_path / "out.csv", calls / "list.csv") == 0
    assert pandas.read_csv(tmp_path / "out.csv")["speaker"].tolist() == ["Anna"]
    assert len(asked) == 1


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


def test_rows_of_another_detector_of_speech_are_not_mixed_in(model, calls, tmp_path, capsys):
    assert predict(model, tmp_path / "out.csv", calls / "day 0/00.wav") == 0
    argv = ["predict", str(calls), "--model", str(model), "--output", str(tmp_path / "out.csv"), "--speech", "silero"]
    assert main(argv) == 2
    assert "with another speech" in capsys.readouterr().err


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


@pytest.fixture
def call(tmp_path):
    """Half a second of two channels, a low tone and a high one, and the same channels as mono files."""
    times = np.arange(8_000) / 16_000
    channels = [0.3 * np.sin(2 * np.pi * frequency * times) for frequency in (150, 1_500)]
    soundfile.write(tmp_path / "call.wav", np.stack(channels, 1), 16_000, subtype="FLOAT")
    for number, samples in enumerate(channels, 1):
        soundfile.write(tmp_path / f"mono {number}.wav", samples, 16_000, subtype="FLOAT")
    return tmp_path / "call.wav"


@pytest.mark.parametrize(("suffix", "read"), [(".csv", pandas.read_csv), (".parquet", pandas.read_parquet)])
def test_separate_channels_have_rows_of_their_own_with_the_scores_of_mono_files(
    model, call, tmp_path, asked, suffix, read
):
    argv = ["predict", "--model", str(model), "--output"]
    separate = [*argv, str(tmp_path / f"call{suffix}"), str(call), "--channels", "separate"]
    for _ in range(2):  # the second call finds all rows
        assert main([*separate, "--channel_names", "agent", "customer"]) == 0
    assert len(asked) == 2
    table = read(tmp_path / f"call{suffix}")
    assert table[["channel", "speaker", "duration"]].values.tolist() == [[1, "agent", 0.5], [2, "customer", 0.5]]
    monos = [str(tmp_path / f"mono {number}.wav") for number in (1, 2)]
    assert main([*argv, str(tmp_path / f"mono{suffix}"), *monos]) == 0
    scores = [name for name in table if name.startswith("score_")]
    np.testing.assert_allclose(table[scores], read(tmp_path / f"mono{suffix}")[scores], atol=1e-6)
    assert abs(table[scores].diff().iloc[1]).max() > 1e-4


def test_a_silent_channel_and_an_unreadable_file_are_error_rows(model, call, tmp_path):
    soundfile.write(tmp_path / "one.wav", np.stack([np.zeros(8_000), soundfile.read(call)[0][:, 1]], 1), 16_000)
    (tmp_path / "text.wav").write_text("not audio")
    files = [str(tmp_path / "one.wav"), str(tmp_path / "text.wav")]
    options = ["--model", str(model), "--output", str(tmp_path / "out.csv"), "--channels", "separate"]
    assert main(["predict", *files, *options]) == 0
    table = pandas.read_csv(tmp_path / "out.csv")
    assert "one.wav', channel 1, is silent" in table["error"][0]
    assert (pandas.isna(table["error"][1]), table["speaker"][1]) == (True, "channel 2")
    assert (table["channel"][2], pandas.isna(table["speaker"][2])) == (1, True)
    assert "Cannot read" in table["error"][2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--channels", "separate", "--channel_names", "agent"], "has 2 channels: expected 1, because there are 1"),
        (["--channels", "separate", "--channel_names", "a", "a"], "channel_names: expected different names"),
        (["--channel_names", "agent", "customer"], "channel_names need --channels separate"),
        (["--channels", "separate", "--speakers", "call.rttm"], "speakers and separate channels exclude each other"),
    ],
)
def test_names_that_do_not_fit_the_channels_are_refused(model, call, capsys, options, message):
    try:
        assert main(["predict", str(call), "--model", str(model), *options]) == 2
    except SystemExit as end:
        assert end.code == 2
    assert message in capsys.readouterr().err


def test_a_channel_of_a_recording_is_answered_by_its_own_speech(call, tmp_path):
    tones, rate = soundfile.read(call, dtype="float32")
    soundfile.write(tmp_path / "long.wav", np.tile(tones, (64, 1)), rate, subtype="FLOAT")  # 32 s

    def tell_pitch(waveforms):
        low = [np.abs(np.fft.rfft(waveform, 16_000)).argmax() < 500 for waveform in waveforms]
        return np.array([[0.9, 0.1] if each else [0.1, 0.9] for each in low])

    classifier = EmotionClassifier(Backend("torch", ["low", "high"], tell_pitch), Hearing())
    parts = [(str(tmp_path / "long.wav"), None, None, channel) for channel in (2, 1)]
    found = [(row.channel, row.emotion, row.duration) for row in classifier.predict_files(parts)]
    assert found == [(2, "high", 32.0), (1, "low", 32.0)]


def test_a_channel_that_the_file_lacks_is_an_error_row(model, call):
    classifier = EmotionClassifier.from_pretrained(model)
    (prediction,) = classifier.predict_files([(str(call), None, None, 3)])
    assert prediction.error == f"'{call}': expected a channel from 1 to 2, found channel 3."


def test_a_column_channel_of_the_input_is_renamed(model, calls, tmp_path):
    (calls / "list.csv").write_text("path,channel\nday 0/00.wav,left\n")
    assert predict(model, tmp_path / "out.csv", calls / "list.csv") == 0
    assert predict(model, tmp_path / "out.csv", calls / "list.csv") == 0
    assert pandas.read_csv(tmp_path / "out.csv")["input_channel"].tolist() == ["left"]


def test_a_column_speaker_of_the_input_is_kept_beside_the_speakers_of_channels_and_turns(model, call, tmp_path):
    (tmp_path / "list.csv").write_text("path,speaker,overlap\ncall.wav,Anna,yes\n")
    (tmp_path / "turns.rttm").write_text("SPEAKER call 1 0 0.4 <NA> <NA> Bo <NA> <NA>\n")
    argv = ["predict", str(tmp_path / "list.csv"), "--model", str(model), "--output"]
    assert main([*argv, str(tmp_path / "channels.csv"), "--channels", "separate"]) == 0
    table = pandas.read_csv(tmp_path / "channels.csv")
    assert table[["speaker", "input_speaker"]].values.tolist() == [["channel 1", "Anna"], ["channel 2", "Anna"]]
    assert main([*argv, str(tmp_path / "turns.csv"), "--speakers", str(tmp_path / "turns.rttm")]) == 0
    table = pandas.read_csv(tmp_path / "turns.csv")
    names = ["speaker", "input_speaker", "overlap", "input_overlap"]
    assert table[names].values.tolist() == [["Bo", "Anna", False, "yes"]]


@pytest.mark.parametrize("channels", ["mean", "separate"])
def test_rows_of_channels_and_of_their_means_are_not_mixed(model, call, tmp_path, capsys, channels):
    argv = ["predict", str(call), "--model", str(model), "--output", str(tmp_path / "out.csv"), "--channels"]
    other = {"mean": "separate", "separate": "mean"}[channels]
    assert main([*argv, channels]) == 0
    before = (tmp_path / "out.csv").read_bytes()
    assert main([*argv, other]) == 2
    words = f"has rows of --channels {channels}: expected rows of --channels {other}. Pass another --output."
    assert words in capsys.readouterr().err
    assert (tmp_path / "out.csv").read_bytes() == before


def test_separate_channels_need_more_than_one(model, call, tmp_path, capsys):
    mono, options = str(tmp_path / "mono 1.wav"), ["--model", str(model), "--channels", "separate"]
    assert main(["predict", mono, *options]) == 2
    assert "mono 1.wav' has one channel: expected a recording with a speaker per channel." in capsys.readouterr().err
    assert main(["predict", mono, str(call), *options, "--output", str(tmp_path / "out.csv")]) == 0
    first, second, third = pandas.read_csv(tmp_path / "out.csv").to_dict("records")
    assert first["error"] == f"'{mono}' has one channel: expected a recording with a speaker per channel."
    assert [second["speaker"], third["speaker"]] == ["channel 1", "channel 2"]
