"""`ser-hf predict` on a table that exists or that several processes write; the slow test kills a real one."""

import collections
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pandas
import pytest
from architectures import feature_extractor, tiny_model
from commands.predicting import predict

from ser_hf.cli import main
from ser_hf.commands.predict import EXAMPLES
from ser_hf.data.hearing import Hearing
from ser_hf.serving.predict import identify_model


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


def test_a_file_with_an_error_is_tried_again_and_keeps_one_row(model, calls, tmp_path, asked, write_audio):
    assert predict(model, tmp_path / "out.csv", calls) == 0
    write_audio(calls / "text.wav")
    assert predict(model, tmp_path / "out.csv", calls) == 0
    table = pandas.read_csv(tmp_path / "out.csv")
    assert table["path"].tolist() == sorted(map(str, calls.rglob("*.wav")))
    assert table["error"].isna().all() and table["prediction"].notna().all()
    assert asked[12:] == [str(calls / "text.wav")]


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


def test_columns_are_added_to_a_finished_table(model, calls, tmp_path, asked):
    assert predict(model, tmp_path / "out.csv", calls / "day 0/00.wav") == 0
    (calls / "list.csv").write_text("path,speaker\nday 0/00.wav,Anna\n")
    assert predict(model, tmp_path / "out.csv", calls / "list.csv") == 0
    assert pandas.read_csv(tmp_path / "out.csv")["speaker"].tolist() == ["Anna"]
    assert len(asked) == 1


def test_rows_of_another_detector_of_speech_are_not_mixed_in(model, calls, tmp_path, capsys):
    assert predict(model, tmp_path / "out.csv", calls / "day 0/00.wav") == 0
    argv = ["predict", str(calls), "--model", str(model), "--output", str(tmp_path / "out.csv"), "--speech", "silero"]
    assert main(argv) == 2
    assert "with another speech" in capsys.readouterr().err
