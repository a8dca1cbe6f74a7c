"""Checkpoints that block, fill the memory or lead out of their folder are refused in one sentence by every reader."""

import json
import os
import re
import time
import zipfile

import pytest
from architectures import feature_extractor, tiny_model
from publishing.hub_server import Repository, use_hub

from ser_hf.models import checkpoint_schema
from ser_hf.models.checkpoint_loading import load_trained
from ser_hf.models.checkpoint_schema import check_values
from ser_hf.publishing.checks import check_contents
from ser_hf.publishing.doctor import examine, repair
from ser_hf.publishing.gate import run_gate
from ser_hf.serving import EmotionClassifier

EMOTIONS = ["angry", "happy", "neutral", "sad"]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "tiny"
    tiny_model("wav2vec2-layer", emotions=EMOTIONS).save_pretrained(folder)
    feature_extractor("wav2vec2-layer").save_pretrained(folder)
    return folder


def edit(folder, file="config.json", **changes):
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refuse(folder, words, tmp_path):
    """Check that classifier, export, doctor, `doctor --fix` and gate name the fault, within seconds."""
    began = time.monotonic()
    for read in (EmotionClassifier.from_pretrained, load_trained, lambda path: repair(path, tmp_path / "copy")):
        with pytest.raises(ValueError, match=re.escape(words)):
            read(folder)
    for check in (examine, run_gate):
        assert any(words in check.found for check in check(folder) if not check.passed)
    assert not (tmp_path / "copy").exists()
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("name", ["labels.txt", "vocab.json", "model.safetensors", "onnx/export.json"])
@pytest.mark.parametrize("kind", ["pipe", "device", "link out"])
def test_no_file_blocks_or_leads_out_of_the_folder(folder, tmp_path, name, kind):
    (folder / name).unlink(missing_ok=True)
    (folder / name).parent.mkdir(exist_ok=True)
    if kind == "pipe":
        os.mkfifo(folder / name)
    else:
        (tmp_path / "elsewhere").write_text("{}")
        (folder / name).symlink_to("/dev/zero" if kind == "device" else tmp_path / "elsewhere")
    refuse(folder, "is a pipe" if kind == "pipe" else "outside of its folder", tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_labels": 10**9}, "num_labels: expected 1 to 5000, found 1000000000"),
        ({"encoder": {"inner_layers": 10**6}}, "inner_layers: expected 0 to 500, found 1000000"),
        ({"num_hidden_layers": -1}, "num_hidden_layers: expected 0 to 500, found -1"),
        ({"id2label": {str(i): f"e{i}" for i in range(6_000)}}, "expected at most 5000 labels, found 6000"),
        ({"conv_dim": [16] * 30_000}, "conv_dim: expected at most 20000 values"),
        ({"dtype": "os.system"}, "dtype: expected one of"),
        ({"torch_dtype": "nn"}, "torch_dtype: expected one of"),
        ({"problem_type": ["regression"]}, "problem_type: expected one of"),
        ({"id2label": ["angry"]}, "id2label: expected dict or null, found ['angry']"),
        ({"id2label": {"0": "a", "x": "b"}}, "id2label: expected the keys 0 to 1 as text, found ['0', 'x']"),
        ({"ser_hf_task": ["x"]}, "ser_hf_task: expected str or null, found ['x']"),
        ({"d_model": 10**12}, "d_model: expected 0 to 1000000, found 1000000000000"),
    ],
)
def test_values_of_config_json_are_bounded_before_they_are_used(folder, tmp_path, change, words):
    edit(folder, **change)
    refuse(folder, words, tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id2label": {"0": None}}, "id2label: expected a name of each label, found None"),
        ({"id2label": {"0": "sad", "1": " "}}, "id2label: expected a name of each label, found ' '"),
        ({"id2label": {"1": "sad", "2": "happy"}}, "id2label: expected the keys 0 to 1 as text, found ['1', '2']"),
        ({"rating_scale": ["a", None]}, "rating_scale: expected the lowest and the highest rating, found ['a', None]"),
        ({"rating_scale": [5, 1]}, "rating_scale: expected the lowest and the highest rating, found [5, 1]"),
        ({"rating_scale": [1]}, "rating_scale: expected the lowest and the highest rating, found [1]"),
        ({"rating_scale": [1, float("inf")]}, "rating_scale: expected -1000000 to 1000000, found inf"),
        ({"d_model": -1}, "d_model: expected 0 to 1000000, found -1"),
    ],
)
def test_labels_scales_and_sizes_of_wrong_values_are_named(change, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        check_values(change, "config.json")


def test_an_unknown_task_is_named_by_classifier_and_doctor(folder):
    edit(folder, ser_hf_task="votess")
    words = "task: expected one of ['categories', 'votes', 'dimensions'], found 'votess'. Did you mean 'votes'?"
    with pytest.raises(ValueError, match=re.escape(words)):
        EmotionClassifier.from_pretrained(folder)
    assert not (check := check_contents(folder)).passed and check.found == words


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"feature_extractor_type": "ClapFeatureExtractor"}, "expected Wav2Vec2FeatureExtractor for the architecture"),
        ({"n_fft": 10**9}, "n_fft: expected 1 to 16384, found 1000000000"),
        ({"chunk_length": 10**6}, "chunk_length: expected 0.1 to 600, found 1000000"),
        ({"sampling_rate": 16}, "sampling_rate: expected 1000 to 768000, found 16"),
        ({"return_attention_mask": "yes"}, "return_attention_mask: expected bool or null, found 'yes'"),
    ],
)
def test_values_of_the_preprocessor_are_bounded_and_the_repair_uses_the_default(folder, tmp_path, change, words):
    edit(folder, "preprocessor_config.json", **change)
    with pytest.raises(ValueError, match=re.escape(words)):
        EmotionClassifier.from_pretrained(folder)
    assert [check.name for check in examine(folder) if not check.passed] == ["preprocessor"]
    (note,) = repair(folder, tmp_path / "copy")
    assert words in note and "the default of the architecture" in note
    assert all(check.passed for check in examine(tmp_path / "copy"))


def test_a_model_that_is_larger_than_its_weights_is_refused_before_it_is_built(folder, tmp_path):
    edit(folder, hidden_size=60_000, intermediate_size=60_000)
    refuse(folder, "its config.json describes a model of 72003 M parameters: expected at most 50 M", tmp_path)


@pytest.mark.parametrize("base", ["someone/else", None])
def test_an_adapter_of_another_model_is_refused(folder, tmp_path, base):
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": base}))
    refuse(folder, f"is an adapter of the model {base!r}: expected all weights in one checkpoint", tmp_path)


@pytest.mark.parametrize("file", ["../other/model.safetensors", "/etc/passwd", 3])
def test_an_index_that_leads_out_of_the_folder_is_refused(folder, tmp_path, file):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": file}}))
    refuse(
        folder, f"model.safetensors.index.json: expected names of files in the same folder, found {file!r}", tmp_path
    )


def test_weights_of_more_bytes_than_any_model_are_not_read(folder):
    (folder / "model.safetensors").unlink()
    with (folder / "pytorch_model.bin").open("wb") as file:
        file.truncate(41_000_000_000)  # takes no space
    with pytest.raises(ValueError, match="has weights of 41 GB: expected at most 40 GB"):
        EmotionClassifier.from_pretrained(folder)


def test_weights_that_unpack_to_more_bytes_are_not_read(folder, monkeypatch):
    monkeypatch.setattr(checkpoint_schema, "MOST_BYTES", 1_000_000)
    (folder / "model.safetensors").unlink()
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data/0", bytes(60_000_000))
    assert (folder / "pytorch_model.bin").stat().st_size < 100_000
    with pytest.raises(ValueError, match="has weights of 0.06 GB: expected at most 0.001 GB"):
        load_trained(folder)


def test_a_model_on_the_hub_is_bounded_like_a_folder_before_its_weights_are_downloaded(folder, monkeypatch, tmp_path):
    edit(folder, hidden_size=60_000, intermediate_size=60_000)
    large, adapter, padded = (Repository(private=False) for _ in range(3))
    padded.commit({"config.json": b"{" + bytes(9_000_000)})
    large.commit({path.name: path.read_bytes() for path in folder.iterdir()})
    adapter.commit({"config.json": b"{}", "adapter_config.json": b'{"base_model_name_or_path": "someone/else"}'})
    with use_hub(monkeypatch, tmp_path / "hub") as hub:
        hub.repositories = {"someone/large": large, "someone/adapter": adapter, "someone/padded": padded}
        with pytest.raises(ValueError, match="'someone/padded': config.json has 9.0 MB: expected at most 8 MB"):
            load_trained("someone/padded")
        assert "resolve" not in [step for step, _ in hub.requests]
        with pytest.raises(
            ValueError, match="'someone/large': its config.json describes a model of 72003 M parameters"
        ):
            load_trained("someone/large")
        with pytest.raises(ValueError, match="'someone/adapter' is an adapter of the model 'someone/else'"):
            load_trained("someone/adapter")
        assert "download" not in [step for step, _ in hub.requests]


def test_a_figure_that_links_out_of_the_folder_is_not_copied_into_the_repaired_one(folder, tmp_path):
    (tmp_path / "private.png").write_bytes(b"private")
    (folder / "figures").mkdir()
    (folder / "figures" / "confusion.png").symlink_to(tmp_path / "private.png")
    with pytest.raises(ValueError, match="confusion.png' is a link to .*private.png', outside of its folder"):
        repair(folder, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
