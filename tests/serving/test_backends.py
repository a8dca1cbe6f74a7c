import hashlib
import json
import logging

import numpy as np
import pytest
import torch
from architectures import feature_extractor, tiny_model
from safetensors.torch import load_file, save_file
from transformers import pipeline

from ser_hf.serving import EmotionClassifier, backends
from ser_hf.serving.backends import load_onnx
from ser_hf.serving.checkpoint_files import load_own_feature_extractor
from ser_hf.serving.devices import choose_dtype

EMOTIONS = ["angry", "happy", "neutral", "sad"]
RNG = np.random.default_rng(0)
WAVEFORMS = [RNG.normal(0, 0.1, samples).astype(np.float32) for samples in (16_000, 9_001)]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Write one folder for each architecture."""
    root = tmp_path_factory.mktemp("checkpoints")
    for name in ("wav2vec2-group", "whisper"):
        tiny_model(name).save_pretrained(root / name)
        feature_extractor(name).save_pretrained(root / name)
    return root


@pytest.fixture
def copy(checkpoints, tmp_path):
    """Copy the wav2vec2 checkpoint, ``copy(config={…}, without="FILE")``."""

    def write(*, config=None, without=None, name="wav2vec2-group"):
        folder = tmp_path / "copy"
        folder.mkdir()
        for path in (checkpoints / name).iterdir():
            if path.name != without:
                (folder / path.name).write_bytes(path.read_bytes())
        values = json.loads((folder / "config.json").read_text()) | (config or {})
        (folder / "config.json").write_text(json.dumps(values))
        return folder

    return write


def test_a_random_head_is_refused(copy):
    folder = copy()
    weights = load_file(folder / "model.safetensors")
    renamed = {key.replace("classifier.", "classifier.dense."): value for key, value in weights.items()}
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="lacks 2 weights.*would be random.*classifier.dense.bias.*ser-hf doctor"):
        EmotionClassifier.from_pretrained(folder)


def test_a_head_of_another_size_is_refused(copy):
    with pytest.raises(ValueError, match="lacks 2 weights.*would be random"):
        EmotionClassifier.from_pretrained(copy(config={"id2label": {"0": "angry", "1": "sad"}}))


def test_a_missing_feature_extractor_is_refused_with_the_way_out(copy):
    with pytest.raises(OSError, match="no preprocessor_config.json.*ser-hf doctor .* --fix"):
        EmotionClassifier.from_pretrained(copy(without="preprocessor_config.json"))


def test_a_checkpoint_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(OSError, match="expected a model's Hub id or folder"):
        EmotionClassifier.from_pretrained(tmp_path / "nothing")


def test_labels_without_names_are_warned_of(copy, caplog):
    folder = copy(config={"id2label": {str(i): f"LABEL_{i}" for i in range(4)}, "uncertainty_threshold": 0.4})
    with caplog.at_level(logging.WARNING):
        classifier = EmotionClassifier.from_pretrained(folder)
    assert "LABEL_0" in caplog.text
    assert classifier.emotions[3] == "LABEL_3"
    assert classifier.uncertainty_threshold == 0.4


def test_a_repeated_label_is_refused(copy):
    with pytest.raises(ValueError, match="found a repeated name: sad, angry, Sad, happy"):
        EmotionClassifier.from_pretrained(
            copy(config={"id2label": {"0": "sad", "1": "angry", "2": "Sad", "3": "happy"}})
        )


@pytest.mark.parametrize("problem_type", ["multi_label_classification", "regression"])
def test_scores_are_of_the_kind_that_the_pipeline_gives(copy, problem_type):
    folder = copy(config={"problem_type": problem_type})
    (scores,) = EmotionClassifier.from_pretrained(folder).score(WAVEFORMS[:1])
    stock = pipeline("audio-classification", str(folder), top_k=None)(WAVEFORMS[0])
    expected = {answer["label"]: answer["score"] for answer in stock}
    assert dict(zip(EMOTIONS, scores, strict=True)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float16"}, "dtype: expected one of"),
        ({"backend": "jax"}, "backend: expected one of"),
        ({"backend": "onnx", "dtype": "auto"}, "onnx runs on the CPU in float32"),
        ({"backend": "onnx", "device": "cuda"}, "onnx runs on the CPU in float32"),
        ({"dtype": "int8", "device": "cuda"}, "onnx runs on the CPU in float32 or int8"),
        ({"dtype": "int8", "backend": "torch"}, "int8 runs with ONNX only"),
    ],
)
def test_options_that_do_not_go_are_refused(checkpoints, options, message):
    with pytest.raises(ValueError, match=message):
        EmotionClassifier.from_pretrained(checkpoints / "whisper", **options)


@pytest.fixture
def exported(copy):
    """Write a graph beside the tiny Whisper that answers 1 to 4 times the mean of its features."""
    folder = copy(name="whisper")
    write_graph(folder / "onnx" / "model.onnx", {"input_features": ["batch", 80, 200]}, [1, 2, 3, 4])
    write_graph(folder / "onnx" / "model_quantized.onnx", {"input_features": ["batch", 80, 200]}, [4, 3, 2, 1])
    return folder


def write_graph(path, inputs, weights):
    """Write a graph that answers `weights` times the mean of the first of its inputs, name -> shape."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    first, *_ = inputs
    nodes = [
        helper.make_node("ReduceMean", [first, "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "last"], ["column"]),
        helper.make_node("Mul", ["column", "weights"], ["logits"]),
    ]
    constants = {"axes": np.arange(1, len(inputs[first])), "last": np.array([1]), "weights": np.float32([weights])}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    path.parent.mkdir(exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


def test_the_exported_file_is_run_on_the_cpu_where_there_is_one(exported, checkpoints):
    assert EmotionClassifier.from_pretrained(checkpoints / "whisper", device="cpu").backend == "torch"
    classifier = EmotionClassifier.from_pretrained(exported, device="cpu")
    assert classifier.backend == "onnx"
    features = feature_extractor("whisper")(WAVEFORMS[:2], sampling_rate=16_000, return_tensors="np").input_features
    logits = features.mean((1, 2))[:, None] * np.arange(1, 5)
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    assert np.allclose(classifier.score(WAVEFORMS[:2]), expected, atol=1e-5)
    assert EmotionClassifier.from_pretrained(exported, device="cpu", dtype="bfloat16").backend == "torch"
    assert EmotionClassifier.from_pretrained(exported, backend="torch").backend == "torch"
    int8 = EmotionClassifier.from_pretrained(exported, dtype="int8")
    assert np.allclose(int8.score(WAVEFORMS[:2]), expected[:, ::-1], atol=1e-5)


def test_onnx_without_a_file_names_the_export(checkpoints):
    pytest.importorskip("onnxruntime")
    with pytest.raises(FileNotFoundError, match="has no onnx/model.onnx: write it with `ser-hf export`"):
        EmotionClassifier.from_pretrained(checkpoints / "whisper", backend="onnx")


def write_report(folder):
    weights = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.safetensors")}
    (folder / "onnx" / "export.json").write_text(json.dumps({"weights": weights}))


def test_an_export_of_earlier_weights_is_not_run(exported, caplog):
    write_report(exported)
    assert EmotionClassifier.from_pretrained(exported, device="cpu").backend == "onnx"
    weights = {name: value + 0.01 for name, value in load_file(exported / "model.safetensors").items()}
    save_file(weights, exported / "model.safetensors", metadata={"format": "pt"})
    assert not caplog.records
    assert EmotionClassifier.from_pretrained(exported, device="cpu").backend == "torch"
    assert "have changed since its ONNX files were exported" in caplog.text
    for options in ({"backend": "onnx"}, {"dtype": "int8"}):
        with pytest.raises(ValueError, match="have changed since.*Run `ser-hf export .*` again"):
            EmotionClassifier.from_pretrained(exported, **options)
    (exported / "model.safetensors").unlink()  # exported elsewhere: nothing to compare with
    assert EmotionClassifier.from_pretrained(exported, device="cpu").backend == "onnx"


@pytest.mark.parametrize("backend", ["auto", "onnx"])
def test_a_damaged_export_is_refused(exported, backend):
    path = exported / "onnx" / "model.onnx"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="model.onnx' is damaged or incomplete.*Run `ser-hf export .*` again"):
        EmotionClassifier.from_pretrained(exported, device="cpu", backend=backend)


def test_onnx_takes_as_many_threads_as_torch_one_for_each_waveform(exported, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    session, pool, found = onnxruntime.InferenceSession, backends.ThreadPoolExecutor, []

    def open_session(path, options, **others):
        found.append(options.intra_op_num_threads)
        return session(path, options, **others)

    monkeypatch.setattr(onnxruntime, "InferenceSession", open_session)
    monkeypatch.setattr(backends, "ThreadPoolExecutor", lambda threads: found.append(threads) or pool(threads))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    load_onnx(str(exported), "onnx/model.onnx", trust_remote_code=False)
    assert found == [1, 3]


def test_a_graph_without_a_mask_hears_no_padding(copy):
    folder = copy()
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"do_normalize": False}))
    write_graph(folder / "onnx" / "model.onnx", {"input_values": ["batch", "length"]}, [1, 2, 3, 4])
    classifier = EmotionClassifier.from_pretrained(folder, backend="onnx")
    scores = classifier.score([np.full(samples, 0.5, np.float32) for samples in (16_000, 8_000)])
    expected = np.exp([0.5, 1, 1.5, 2]) / np.exp([0.5, 1, 1.5, 2]).sum()
    assert np.allclose(scores, expected, atol=1e-6)


def test_a_checkpoint_that_was_saved_without_masks_is_given_them(copy):
    folder = copy()
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"return_attention_mask": False}))
    assert load_own_feature_extractor(str(folder), "wav2vec2", False).return_attention_mask
    classifier = EmotionClassifier.from_pretrained(folder)
    single = np.concatenate([classifier.score([waveform]) for waveform in WAVEFORMS])
    assert np.abs(classifier.score(WAVEFORMS) - single).max() < 1e-5


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("fast", [False, True])
def test_auto_is_bfloat16_only_where_the_hardware_multiplies_it(monkeypatch, device, fast):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: fast)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation or fast)
    expected = torch.bfloat16 if fast else torch.float32
    assert choose_dtype("auto", torch.device(device)) == expected
    assert choose_dtype("float32", torch.device(device)) == torch.float32


@pytest.mark.parametrize("device", ["cuda", "cuda:63", "abacus"])
def test_a_device_that_is_not_there_is_refused(checkpoints, device):
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("it is there")
    there = "cuda" if torch.cuda.is_available() else "cpu"
    with pytest.raises(ValueError, match=f"device: expected an available one, such as '{there}', found '{device}'"):
        EmotionClassifier.from_pretrained(checkpoints / "whisper", device=device)


def test_a_file_in_place_of_its_folder_is_refused(checkpoints):
    with pytest.raises(ValueError, match="folder or Hub id, found the file .*config.json"):
        EmotionClassifier.from_pretrained(checkpoints / "whisper" / "config.json")
