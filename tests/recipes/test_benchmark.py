"""`recipes/benchmark.py` on a toy corpus with a tiny model."""

import runpy
import shutil
from importlib import import_module
from pathlib import Path

import pytest
from architectures import feature_extractor, tiny_model

from ser_hf.publishing.export import export_onnx

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
FILES = 10


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A wav2vec2 that has been exported; the stock pipeline's answers in a batch depend on the padding."""
    pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    tiny_model("wav2vec2-group").save_pretrained(folder)
    feature_extractor("wav2vec2-group").save_pretrained(folder)
    export_onnx(folder)
    return folder


@pytest.fixture
def paths(toy_ravdess):
    return [str(path) for path in sorted(toy_ravdess.rglob("*.wav"))[:FILES]]


@pytest.fixture
def inference(monkeypatch):
    """The half of the recipe that measures inference, each method once."""
    monkeypatch.syspath_prepend(str(RECIPES))
    module = import_module("benchmark_inference")
    monkeypatch.setattr(module, "REPEATS", 1)
    return module


def read_rows(text):
    """Return the cells of each row of the table by its first one."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {name: cells for name, *cells in rows[2:]}


@pytest.mark.slow
def test_every_method_is_timed_and_its_scores_and_memory_are_compared(inference, checkpoint, paths, capsys):
    inference.compare_inference(checkpoint, paths, paths)
    rows = read_rows(capsys.readouterr().out)
    ours = [f"EmotionClassifier, {kind}" for kind in ("torch float32", "torch bfloat16", "ONNX float32", "ONNX int8")]
    loop = ["loop over pipeline(path)"] if shutil.which("ffmpeg") else []
    assert list(rows) == [*loop, "pipeline(arrays, batch_size=8)", *ours]
    difference = {name: float(cells[3]) for name, cells in rows.items()}
    assert all(difference[name] < 1e-5 for name in (*loop, ours[0], ours[2]))
    assert all(1e-5 < difference[name] < 0.3 for name in ("pipeline(arrays, batch_size=8)", ours[1], ours[3]))
    assert all(cells[4].endswith(f" of {FILES}") for cells in rows.values())
    rate = {name: float(cells[0]) for name, cells in rows.items()}
    for name in ours:
        assert float(rows[name][2]) == pytest.approx(rate[name] / rate["pipeline(arrays, batch_size=8)"], rel=0.1)
        assert 0 < float(rows[name][5]) < 300


def test_what_is_left_out_is_said_under_the_table(inference, checkpoint, paths, tmp_path, monkeypatch, capsys):
    folder = shutil.copytree(checkpoint, tmp_path / "copy", ignore=shutil.ignore_patterns("onnx"))
    monkeypatch.setattr("shutil.which", lambda program: None)
    monkeypatch.setattr(inference, "measure_peaks", lambda options, corpus: {})
    inference.compare_inference(folder, paths, paths)
    text = capsys.readouterr().out
    assert not any("loop" in name or "ONNX" in name for name in read_rows(text))
    assert "ffmpeg" in text
    assert f"run `ser-hf export {folder}` first" in text


def test_answers_that_differ_are_counted(inference, capsys):
    sure, unsure = {"angry": 0.9, "sad": 0.1}, {"angry": 0.45, "sad": 0.55}
    way = "pipeline(arrays, batch_size=8)"
    inference.print_table({way: 2.0}, {way: [sure, unsure, sure]}, [sure, sure, sure], {})
    assert read_rows(capsys.readouterr().out)[way] == ["2.0", "", "1.00", "4.5e-01", "1 of 3", ""]


@pytest.mark.parametrize("asked", [True, False])
def test_inference_is_measured_where_a_model_is_named(inference, toy_ravdess, tmp_path, monkeypatch, capsys, asked):
    calls = []
    monkeypatch.setattr(inference, "compare_inference", lambda *arguments: calls.append(arguments))
    data = import_module("benchmark_data")
    for name, value in {"REPEATS": 1, "EPOCHS": 1, "FILES": 2}.items():
        monkeypatch.setattr(data, name, value)
    main = runpy.run_path(str(RECIPES / "benchmark.py"))["main"]
    monkeypatch.setitem(main.__globals__, "FILES_OF_INFERENCE", 5)
    main(["--corpus", "ravdess", "--data_root", str(toy_ravdess), *["--model", str(tmp_path)] * asked])
    assert "memory after epochs" in capsys.readouterr().out
    if not asked:
        assert calls == []
        return
    ((folder, some, every),) = calls
    assert folder == tmp_path
    assert len(some) == 5
    assert sorted(every) == sorted(map(str, toy_ravdess.rglob("*.wav")))
    assert {some[0], some[-1]} == {every[0], every[-1]}
