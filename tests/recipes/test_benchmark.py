"""`recipes/benchmark.py` on a toy corpus with a tiny model."""

import json
import runpy
import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from architectures import feature_extractor, tiny_model
from torch.utils.flop_counter import FlopCounterMode

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
def test_every_method_is_timed_and_its_scores_and_memory_are_compared(
    inference, checkpoint, paths, monkeypatch, capsys
):
    monkeypatch.setattr(inference, "choose_dtype", lambda dtype, device: torch.bfloat16)
    inference.compare_inference(checkpoint, paths, paths)
    rows = read_rows(capsys.readouterr().out)
    ours = [f"EmotionClassifier, {kind}" for kind in ("torch float32", "torch bfloat16", "ONNX float32", "ONNX int8")]
    loop = ["loop over pipeline(path)"] if shutil.which("ffmpeg") else []
    assert list(rows) == [*loop, "pipeline(arrays, batch_size=8)", *ours]
    difference = {name: float(cells[4]) for name, cells in rows.items()}
    assert all(difference[name] < 1e-5 for name in (*loop, ours[0], ours[2]))
    assert all(1e-5 < difference[name] < 0.3 for name in ("pipeline(arrays, batch_size=8)", ours[1], ours[3]))
    assert all(cells[5].endswith(f" of {FILES}") for cells in rows.values())
    rate = {name: float(cells[0]) for name, cells in rows.items()}
    for name in ours:
        assert float(rows[name][2]) == pytest.approx(rate[name] / rate["pipeline(arrays, batch_size=8)"], rel=0.1)
        assert 0 < float(rows[name][6]) < 300


def test_what_is_left_out_is_said_under_the_table(inference, checkpoint, paths, tmp_path, monkeypatch, capsys):
    folder = shutil.copytree(checkpoint, tmp_path / "copy", ignore=shutil.ignore_patterns("onnx"))
    monkeypatch.setattr("shutil.which", lambda program: None)
    monkeypatch.setattr(inference, "measure_peaks", lambda options, corpus: {})
    inference.compare_inference(folder, paths, paths)
    text = capsys.readouterr().out
    assert not any("loop" in name or "ONNX" in name for name in read_rows(text))
    assert "ffmpeg" in text
    assert f"run `ser-hf export {folder}` first" in text


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_bfloat16_is_measured_where_the_processor_multiplies_it(inference, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(inference, "choose_dtype", lambda dtype, device: getattr(torch, kind))
    names = list(inference.list_classifiers(tmp_path))
    assert ("EmotionClassifier, torch bfloat16" in names) is (kind == "bfloat16")
    assert "EmotionClassifier, torch float32" in names


def test_the_operations_of_a_file_are_counted(inference):
    linear = torch.nn.Linear(100, 7)
    files = [np.zeros(100, np.float32), np.zeros((3, 100), np.float32)]
    assert inference.count_operations(lambda waveform: linear(torch.from_numpy(waveform)), files) == 2800


def test_answers_that_differ_are_counted(inference, capsys):
    sure, unsure = {"angry": 0.9, "sad": 0.1}, {"angry": 0.45, "sad": 0.55}
    way = "pipeline(arrays, batch_size=8)"
    inference.print_table({way: 2.0}, {way: [sure, unsure, sure]}, [sure, sure, sure], {}, 8.0)
    assert read_rows(capsys.readouterr().out)[way] == ["2.0", "", "1.00", "25%", "4.5e-01", "1 of 3", ""]


def test_the_operations_of_a_convolution_in_groups_and_of_its_gradients_are_counted(training):
    convolution = torch.nn.Conv1d(4, 6, 3, groups=2, bias=False)
    with FlopCounterMode(display=False, custom_mapping=training.COUNTS) as counter:
        convolution(torch.zeros(5, 4, 10, requires_grad=True)).sum().backward()
    assert counter.get_total_flops() == 3 * 2 * (5 * 6 * 8) * (2 * 3)  # output, input and weights


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


@pytest.fixture
def training(monkeypatch):
    """The half of the recipe that measures training."""
    monkeypatch.syspath_prepend(str(RECIPES))
    return import_module("benchmark_training")


def row(way, ratio, **values):
    rest = {"rate": 2.0, "first": 1.0, "share": 0.5, "waited": 0.01, "memory": 900.0}
    return {"model": "whisper-tiny", "lengths": "RAVDESS-like", "way": way, "ratio": ratio} | rest | values


def run_check(monkeypatch, training, tmp_path, found):
    """Run the recipe where the ways have these ratios, against a file with 1, 2.0 and 3.0."""
    stored = tmp_path / "stored.json"
    stored.write_text(json.dumps({"rows": [row("stock", 1.0), row("ours", 2.0), row("ours, first half frozen", 3.0)]}))
    monkeypatch.setattr(training, "compare_training", lambda *arguments: {"rows": found})
    main = runpy.run_path(str(RECIPES / "benchmark.py"))["main"]
    main(["--training", "whisper-tiny", "--check", str(stored)])


@pytest.mark.parametrize("slowdown", [1.0, 1.1])
def test_a_ratio_that_has_fallen_a_little_passes_the_check(monkeypatch, training, tmp_path, slowdown):
    found = [row("stock", 1.0), row("ours", 2.0 / slowdown), row("another way", 0.1)]
    run_check(monkeypatch, training, tmp_path, found)


def test_a_check_lists_the_rows_that_it_does_not_compare(monkeypatch, training, tmp_path, capsys):
    run_check(monkeypatch, training, tmp_path, [row("stock", 1.0), row("ours", 2.0), row("new way", 0.1)])
    stored = tmp_path / "stored.json"
    assert capsys.readouterr().out == (
        f"Not measured, but in '{stored}': whisper-tiny, RAVDESS-like, ours, first half frozen.\n"
        f"Measured, but not in '{stored}': whisper-tiny, RAVDESS-like, new way.\n"
    )


def test_an_interrupted_measurement_leaves_its_rows_in_the_file(monkeypatch, training, tmp_path):
    stock = row("stock", 1.0)

    def measure(ways, durations, repeats):
        if durations.max() > 5:  # the lengths of IEMOCAP
            raise KeyboardInterrupt
        yield {key: value for key, value in stock.items() if key not in ("model", "lengths")}

    monkeypatch.setattr(training, "measure", measure)
    with pytest.raises(KeyboardInterrupt):
        training.compare_training(["whisper-tiny"], 8, 1, tmp_path / "found.json")
    assert json.loads((tmp_path / "found.json").read_text())["rows"] == [stock]


def test_a_slowdown_by_30_percent_fails_the_check_and_is_named(monkeypatch, training, tmp_path):
    found = [row("stock", 1.0), row("ours", 2.0 / 1.3), row("ours, first half frozen", 3.0)]
    with pytest.raises(SystemExit) as error:
        run_check(monkeypatch, training, tmp_path, found)
    assert str(error.value).splitlines() == [
        "whisper-tiny, RAVDESS-like, ours: expected at least 1.70 times the stock way, found 1.54. Profile the change "
        "that made it slower, or store the new ratios with --write."
    ]


def test_a_check_of_nothing_fails(monkeypatch, training, tmp_path):
    with pytest.raises(
        SystemExit, match="Expected measured rows that are in .*, found none: whisper-tiny, .*, new way"
    ):
        run_check(monkeypatch, training, tmp_path, [row("stock", 1.0), row("new way", 9.0)])


def test_an_unknown_model_is_an_error_that_lists_the_models(training):
    main = runpy.run_path(str(RECIPES / "benchmark.py"))["main"]
    with pytest.raises(SystemExit, match="expected wav2vec2-base, .*, found wav2vec9"):
        main(["--training", "wav2vec9"])


def test_the_table_in_the_readme_is_the_stored_one(training):
    stored = json.loads((RECIPES / "training_speed.json").read_text())
    readme = (RECIPES / "README.md").read_text(encoding="utf-8")
    table = readme.partition("<!-- training speed -->\n")[2].partition("\n<!-- end of training speed -->")[0]
    assert table == training.render_table(stored)


TINY = {
    "layerdrop": "0", "hidden_size": "32", "num_hidden_layers": "2", "num_attention_heads": "2",
    "intermediate_size": "32", "classifier_proj_size": "16",
}  # fmt: skip


@pytest.mark.slow
def test_each_way_of_training_is_measured_in_a_process_of_its_own(training):
    tiny = training.Architecture("wav2vec2", TINY, 2)
    rows = {row["way"]: row for row in training.measure(training.list_ways(tiny), np.linspace(0.5, 2, 16), 2)}
    assert list(rows) == ["stock", "ours", "ours, first half frozen"]
    assert rows["stock"]["ratio"] == 1.0
    for found in rows.values():
        assert found["rate"] > 0
        assert 0 < found["share"] < 1
        assert 0 <= found["waited"] < 1
        assert 100 < found["memory"] < 4000
