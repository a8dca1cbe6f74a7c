import copy
import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from architectures import CONFIGS, feature_extractor, tiny_model
from scipy.special import softmax

from ser_hf.data import extract_features, load_audio
from ser_hf.models import MelConfig, MelForAudioClassification, make_padding_aware
from ser_hf.models.checkpoint_loading import default_feature_extractor
from ser_hf.models.readout import activations, append_dimensions, write_readout
from ser_hf.publishing import export, export_comparison
from ser_hf.publishing.export import TRANSFORMERS_JS, UNSUPPORTED, export_onnx, open_session
from ser_hf.publishing.export_comparison import compare_exports
from ser_hf.publishing.tracing import write_fp32

onnx = pytest.importorskip("onnx", reason="the extra [export] is not installed")
pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")

JAVASCRIPT = Path(__file__).parents[1] / "transformers_js"
RNG = np.random.default_rng(0)
WAVEFORMS = [RNG.normal(0, 0.1, samples).astype(np.float32) for samples in (16_000, 9_001, 4_000, 31_231, 5_120)]
FILES = ("model", "model_quantized")
QUICK = ("wav2vec2-layer", "hubert-group", "whisper")
SUPPORTED = [name for name in CONFIGS if CONFIGS[name]().model_type not in UNSUPPORTED]
SLOW = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in SUPPORTED]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads that wait for each other take longer than one alone on a tiny model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Save a tiny checkpoint, ``checkpoint(name)``, and export it; once for each name."""
    folders = {}

    def save(name):
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp("checkpoint") / name
            write_checkpoint(folders[name], calm_model(name), feature_extractor(name))
            export_onnx(folders[name])
        return folders[name]

    return save


@pytest.fixture
def unexported(tmp_path):
    write_checkpoint(tmp_path / "tiny", tiny_model("wav2vec2-layer"), feature_extractor("wav2vec2-layer"))
    return tmp_path / "tiny"


def calm_model(name):
    """Return the tiny model; Whisper's logits are differences so small, blown up, that rounding errors show."""
    model = tiny_model(name)
    if name == "whisper":
        model.classifier.weight.data /= 10
        model.classifier.bias.data /= 10
    return model


def write_checkpoint(folder, model, extractor):
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)


def answer(path, extractor, waveforms):
    """Return the logits of an ONNX file."""
    features, session = extract_features(extractor, waveforms), open_session(path)
    inputs = {
        item.name: features[item.name].numpy().astype("int64" if "mask" in item.name else "float32")
        for item in session.get_inputs()
    }
    return session.run(["logits"], inputs)[0]


@torch.no_grad()
def torch_answer(model, extractor, waveforms):
    """Return the logits of each waveform alone."""
    return np.concatenate([model(**extract_features(extractor, [waveform])).logits for waveform in waveforms])


def operations(path):
    return [node.op_type for node in onnx.load(path).graph.node]


@pytest.mark.parametrize("name", SLOW)
def test_onnx_answers_like_stock_torch_at_other_batches_and_lengths(checkpoint, name):
    path, model, extractor = checkpoint(name) / "onnx/model.onnx", calm_model(name), feature_extractor(name)
    expected = torch_answer(model, extractor, WAVEFORMS)
    for size in (1, 2, 5):
        found = answer(path, extractor, WAVEFORMS[:size])
        assert np.abs(found - expected[:size]).max() < 5e-4 * expected.std()


@pytest.mark.parametrize("name", SLOW)
def test_the_report_says_what_was_exported(checkpoint, name):
    report = json.loads((checkpoint(name) / "onnx/export.json").read_text())
    fixed = name in ("whisper", "audio-spectrogram-transformer")
    assert report["dynamic"] == (["batch"] if fixed else ["batch", "length"])
    assert ("attention_mask" in report["inputs"]) is not fixed
    assert report["batch_equals_single"]
    assert report["transformers_js"] is (report["architecture"] in TRANSFORMERS_JS)
    assert 0 <= report["largest_logit_difference"] <= 1e-4
    assert 0 < report["int8_largest_score_difference"] < 0.6  # random weights exaggerate: they have large logits
    assert report["int8_megabytes"] < 2 * report["megabytes"]


def test_int8_touches_matrix_products_only(checkpoint):
    folder = checkpoint("wav2vec2-layer") / "onnx"
    before, after = operations(folder / "model.onnx"), operations(folder / "model_quantized.onnx")
    assert "MatMulInteger" in after
    assert before.count("Conv") == after.count("Conv") == 4
    others = [kind for kind in after if "Integer" in kind or "QLinear" in kind]
    assert set(others) == {"MatMulInteger"}


def test_int8_keeps_the_small_logits_of_a_readout(tmp_path):
    model, extractor = append_dimensions(tiny_model("whisper"), 4).eval(), feature_extractor("whisper")
    inputs = activations(model, extract_features(extractor, WAVEFORMS)["input_features"])
    weight = torch.from_numpy(np.random.default_rng(1).normal(size=(4, inputs.shape[1]))).float()
    weight *= 2 / (inputs @ weight.T).std()
    write_readout(model, weight, torch.zeros(4))
    write_checkpoint(tmp_path, model, extractor)
    export_onnx(tmp_path)
    exact, small = (softmax(answer(tmp_path / f"onnx/{name}.onnx", extractor, WAVEFORMS), -1) for name in FILES)
    assert exact.max() - exact.min() > 0.5
    assert np.abs(small - exact).max() < 0.05


def test_int8_can_be_left_out_and_the_files_can_lie_elsewhere(unexported, tmp_path):
    report = export_onnx(unexported, output_dir=tmp_path / "elsewhere", int8=False)
    written = {path.relative_to(tmp_path / "elsewhere").as_posix() for path in (tmp_path / "elsewhere").rglob("*.*")}
    assert written == {"config.json", "preprocessor_config.json", "onnx/model.onnx", "onnx/export.json"}
    assert not (unexported / "onnx").exists()
    assert "int8_megabytes" not in report


def test_a_learned_sum_of_layers_is_exported(tmp_path):
    model, extractor = tiny_model("whisper"), feature_extractor("whisper")
    config = model.config
    config.use_weighted_layer_sum = True
    summing = type(model)(config).eval()
    write_checkpoint(tmp_path, summing, extractor)
    export_onnx(tmp_path, int8=False)
    expected = torch_answer(summing, extractor, WAVEFORMS)
    assert np.allclose(answer(tmp_path / "onnx/model.onnx", extractor, WAVEFORMS), expected, atol=1e-4)


def test_a_graph_that_answers_otherwise_is_refused_and_removed(unexported, monkeypatch):
    def write_another(model, *rest):
        model = copy.deepcopy(model)
        model.classifier.bias.data += 2e-4
        write_fp32(model, *rest)

    export_onnx(unexported)
    monkeypatch.setattr(export, "write_fp32", write_another)
    with pytest.raises(ValueError, match="'wav2vec2' differ from torch by 2.0e-04"):
        export_onnx(unexported)
    assert not list((unexported / "onnx").iterdir())
    assert not list(unexported.rglob("*.onnx"))


def test_an_architecture_that_cannot_be_exported_is_named(tmp_path, monkeypatch, capsys):
    config = MelConfig(num_labels=4, conv_channels=[4], hidden_size=8)
    write_checkpoint(tmp_path, MelForAudioClassification(config), default_feature_extractor(config))
    with pytest.raises(ValueError, match="'mel' cannot be exported to ONNX: its Fourier transform"):
        export_onnx(tmp_path)
    monkeypatch.delitem(export.UNSUPPORTED, "mel")  # as one that nobody has tried
    with pytest.raises(ValueError, match="'mel' cannot be exported to ONNX: STFT does not .* complex"):
        export_onnx(tmp_path)
    assert capsys.readouterr().out == ""


def test_digital_silence_costs_a_group_norm_no_digits(checkpoint):
    speech = np.random.default_rng(0).normal(0, 0.01, 26_000)
    waveform = np.concatenate([np.zeros(30_000), speech, np.zeros(30_000)]).astype(np.float32)
    extractor = feature_extractor("wav2vec2-group")
    found = answer(checkpoint("wav2vec2-group") / "onnx/model.onnx", extractor, [waveform])
    assert np.abs(found - torch_answer(tiny_model("wav2vec2-group"), extractor, [waveform])).max() < 5e-5


def test_a_random_head_is_refused(tmp_path):
    write_checkpoint(tmp_path, tiny_model("wav2vec2-layer").wav2vec2, feature_extractor("wav2vec2-layer"))
    with pytest.raises(ValueError, match="lacks 4 weights of Wav2Vec2ForSequenceClassification"):
        export_onnx(tmp_path)


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no config.json"):
        export_onnx(tmp_path)


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_extra_says_what_to_install(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r'pip install "ser_hf\[export\]"'):
        export_onnx(tmp_path)


def test_the_comparison_names_accuracy_speed_and_size(checkpoint):
    folder = checkpoint("wav2vec2-layer")
    expected = torch_answer(tiny_model("wav2vec2-layer"), feature_extractor("wav2vec2-layer"), WAVEFORMS)
    labels = expected.argmax(1).tolist()
    labels[0] = (labels[0] + 1) % 4  # one mistake
    rows = compare_exports(folder, WAVEFORMS, labels, batch_size=2)
    assert [row["name"] for row in rows] == ["torch fp32", "ONNX fp32", "ONNX int8"]
    recalls = [np.mean([expected[i].argmax() == label for i in np.flatnonzero(np.equal(labels, label))])
               for label in set(labels)]  # fmt: skip
    assert rows[0]["ua"] == rows[1]["ua"] == pytest.approx(np.mean(recalls))
    assert rows[0]["largest_score_difference"] == 0 < rows[1]["largest_score_difference"] < 1e-5
    path, extractor = folder / "onnx/model_quantized.onnx", feature_extractor("wav2vec2-layer")
    int8 = [answer(path, extractor, [WAVEFORMS[i] for i in batch]) for batch in ([3, 0], [1, 4], [2])]  # longest first
    difference = np.abs(softmax(np.concatenate(int8), -1) - softmax(expected[[3, 0, 1, 4, 2]], -1)).max()
    assert rows[2]["largest_score_difference"] == pytest.approx(difference, abs=1e-5)
    assert all(row["utterances_per_second"] > 0 and row["megabytes"] > 0 for row in rows)


def test_the_comparison_warns_where_int8_loses_more_than_a_point(checkpoint, monkeypatch, caplog):
    answers = iter([np.eye(4)[[0, 1, 2, 3, 0]], np.eye(4)[[0, 1, 2, 3, 0]], np.eye(4)[[0, 1, 2, 2, 0]]])
    monkeypatch.setattr(export_comparison, "_time_scores", lambda *_: (next(answers), 1.0))
    with caplog.at_level(logging.WARNING):
        rows = compare_exports(checkpoint("wav2vec2-layer"), WAVEFORMS, [0, 1, 2, 3, 0])
    assert rows[2]["ua"] == 0.75
    assert "UA of int8 is lower by 25.0 points on these 5 utterances" in caplog.text


def test_a_comparison_without_onnx_files_says_how_to_write_them(unexported):
    with pytest.raises(FileNotFoundError, match="ser-hf export"):
        compare_exports(unexported, [], [])


@pytest.mark.slow
def test_onnx_answers_like_torch_on_real_audio(shared, checkpoint):
    files = sorted((shared / "data/ravdess/Actor_01").glob("*.flac"))[:8]
    waveforms = [load_audio(path) for path in files]
    for name in ("whisper", "wav2vec2-layer", "wav2vec2-group"):
        path, model, extractor = checkpoint(name) / "onnx/model.onnx", calm_model(name), feature_extractor(name)
        make_padding_aware(model)
        for size in (1, 3, 8):
            for samples in (16_000, 32_000, 80_000):
                batch = [waveform[:samples] for waveform in waveforms[:size]]
                with torch.no_grad():
                    expected = model(**extract_features(extractor, batch)).logits.numpy()
                assert np.abs(answer(path, extractor, batch) - expected).max() <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "file"), [("fp32", "model.onnx"), ("q8", "model_quantized.onnx")])
def test_transformers_js_gives_the_same_scores(checkpoint, tmp_path, dtype, file):
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    if not (JAVASCRIPT / "node_modules/@huggingface/transformers").is_dir():
        pytest.skip("transformers.js is not installed: run `npm install` in tests/transformers_js")
    folder, name = checkpoint("wav2vec2-layer"), "wav2vec2-layer"
    WAVEFORMS[0].tofile(tmp_path / "waveform.f32")
    command = ["node", JAVASCRIPT / "scores.js", folder, tmp_path / "waveform.f32", dtype]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    scores = json.loads(run.stdout)
    expected = softmax(answer(folder / "onnx" / file, feature_extractor(name), WAVEFORMS[:1])[0])
    assert scores == pytest.approx(
        dict(zip(tiny_model(name).config.id2label.values(), expected, strict=True)), abs=1e-3
    )
