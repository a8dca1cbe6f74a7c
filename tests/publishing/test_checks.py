import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from architectures import feature_extractor, tiny_model
from safetensors.torch import load_file, save_file

from ser_hf.models import MelConfig, MelForAudioClassification
from ser_hf.publishing import checks, privacy, record_checks
from ser_hf.publishing.agreement import check_agreement
from ser_hf.runs.weights import weights_of


@pytest.fixture
def folder(published_folder, tmp_path):
    return shutil.copytree(published_folder, tmp_path / "tiny")


def edit(path: Path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_weights(folder, change, metadata=None):
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata or {"format": "pt"})


def refused(check, words):
    assert not check.passed
    assert words in check.found
    assert check.remedy.endswith(".")


EVERY = {
    name: check for each in (checks, record_checks, privacy) for name, check in vars(each).items() if "check_" in name
}


@pytest.mark.parametrize("name", EVERY)
def test_each_check_passes_a_finished_run(published_folder, name):
    check = EVERY[name](published_folder)
    assert check.passed, check


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", {"model_type": ["wav2vec2"]}),
        ("config.json", {"model_type": "wav2vec2", "hidden_size": "x"}),
        ("model.safetensors.index.json", {"weight_map": [1]}),
        ("all_results.json", {"test": [0.9]}),
        ("README.md", "---\nmodel-index: {a: b}\n---\n"),
    ],
)
def test_a_file_that_trips_a_check_up_is_a_fault_of_it_alone(folder, file, content):
    (folder / file).write_text(content if isinstance(content, str) else json.dumps(content))
    found = checks.run_checks(list(EVERY.values()), folder)
    assert len(found) == len(EVERY)
    assert [check for check in found if not check.passed]
    assert [check for check in found if check.passed]


def test_the_figures_of_the_checks_are_right(published_folder):
    assert checks.check_labels(published_folder).found.startswith("8: angry, calm, ")
    assert checks.check_finite(published_folder).found == "all 9824 numbers"
    assert checks.check_preprocessor(published_folder).found == "Wav2Vec2FeatureExtractor, 16000 Hz"
    ua = checks.read_json_or_empty(published_folder / "all_results.json")["test"]["ua"]
    assert record_checks.check_results(published_folder).found == f"UA {ua:.3f} on 240 utterances"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_type": "bert"}, "model_type 'bert'"),
        ({"architectures": ["Wav2Vec2ForSpeechClassification"]}, "Wav2Vec2ForSpeechClassification"),
        ({"architectures": None}, "None, model_type 'wav2vec2'"),
    ],
)
def test_another_architecture_is_refused(folder, change, words):
    edit(folder / "config.json", **change)
    refused(checks.check_architecture(folder), words)


def test_a_folder_without_a_config_is_refused(tmp_path):
    refused(checks.check_architecture(tmp_path), "config.json is missing")
    refused(checks.check_labels(tmp_path), "0 names")


@pytest.mark.parametrize(
    ("names", "label2id", "words"),
    [
        ({"0": "LABEL_0", "1": "LABEL_1"}, {"LABEL_0": 0, "LABEL_1": 1}, "LABEL_0, LABEL_1: not names of emotions"),
        ({"0": "0", "1": "1"}, {"0": 0, "1": 1}, "0, 1: not names of emotions"),
        ({"0": "happy", "2": "sad"}, {"happy": 0, "sad": 2}, "ids 0, 2 instead of 0 to 1"),
        ({"0": "happy", "1": "Happy"}, {"happy": 0, "Happy": 1}, "a repeated name"),
        ({"0": "happy", "1": "sad"}, {"happy": 1, "sad": 0}, "label2id is not the inverse"),
        ({"0": "happy", "1": "sad"}, {"happy": "0", "sad": "1"}, "label2id is not the inverse"),
        ({"0": "happy"}, {"happy": 0}, "1 names"),
        ({"0": "happy", "1": " "}, {"happy": 0, " ": 1}, "not names of emotions"),
        (["happy", "sad"], {"happy": 0, "sad": 1}, "instead of two objects"),
    ],
)
def test_labels_without_sound_names_are_refused(tmp_path, names, label2id, words):
    (tmp_path / "config.json").write_text(json.dumps({"id2label": names, "label2id": label2id}))
    refused(checks.check_labels(tmp_path), words)


def test_a_missing_preprocessor_is_refused(folder):
    (folder / "preprocessor_config.json").unlink()
    refused(checks.check_preprocessor(folder), "preprocessor_config.json is missing")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"return_attention_mask": False}, "return_attention_mask is false"),
        ({"sampling_rate": None}, "no sampling_rate"),
        ({"feature_extractor_type": "FancyExtractor", "auto_map": {"AutoFeatureExtractor": "x.Y"}}, "cannot be loaded"),
    ],
)
def test_a_preprocessor_unlike_training_is_refused(folder, change, words):
    edit(folder / "preprocessor_config.json", **change)
    refused(checks.check_preprocessor(folder), words)


def test_whisper_needs_no_mask(folder):
    extractor = feature_extractor("whisper")
    extractor.save_pretrained(folder)
    assert not extractor.return_attention_mask
    refused(
        checks.check_preprocessor(folder),
        "for the architecture 'wav2vec2', found WhisperFeatureExtractor",
    )
    edit(folder / "config.json", model_type="whisper")
    assert checks.check_preprocessor(folder).passed


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "head.pkl", "last.ckpt", "head.skops", "x.npz"])
def test_pickles_are_refused(folder, name):
    (folder / name).write_bytes(b"")
    refused(checks.check_format(folder), name)


def test_a_folder_without_weights_is_refused(folder):
    (folder / "model.safetensors").unlink()
    refused(checks.check_format(folder), "no model.safetensors")


def test_shards_must_agree_with_their_index(folder):
    tiny_model("wav2vec2-layer").save_pretrained(folder, max_shard_size="20KB")
    (folder / "model.safetensors").unlink(missing_ok=True)
    shards = weights_of(folder)
    assert len(shards) > 1
    assert checks.check_shards(folder).passed
    shards[-1].unlink()
    refused(checks.check_shards(folder), shards[-1].name)
    (folder / "model.safetensors.index.json").unlink()
    refused(checks.check_shards(folder), shards[0].name)


def test_a_cut_weights_file_is_refused(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    refused(checks.check_shards(folder), "unreadable")


def test_float64_is_refused_and_float16_is_named(folder):
    edit_weights(folder, lambda weights: weights.update({"classifier.bias": weights["classifier.bias"].double()}))
    refused(checks.check_dtype(folder), "F32, F64")
    edit_weights(folder, lambda weights: weights.update({key: value.half() for key, value in weights.items()}))
    check = checks.check_dtype(folder)
    assert check.passed
    assert check.found == "F16"


def test_a_weight_that_is_no_number_is_refused(folder):
    edit_weights(folder, lambda weights: weights["classifier.weight"].view(-1)[3].fill_(torch.nan))
    refused(checks.check_finite(folder), "not finite: classifier.weight (1 of 128)")


def test_a_random_head_is_refused(folder):
    edit_weights(
        folder, lambda weights: weights.update({"classifier.out_proj.weight": weights.pop("classifier.weight")})
    )
    check = checks.check_keys(folder)
    refused(check, "a random head, because classifier.weight")
    assert "1 weights that the class does not have (first: classifier.out_proj.weight)" in check.found


def test_a_head_of_another_size_is_a_random_head(folder):
    edit_weights(folder, lambda weights: weights.update({"classifier.bias": torch.zeros(3)}))
    refused(checks.check_keys(folder), "a random head, because classifier.bias")


def test_a_random_encoder_is_refused_and_a_missing_mask_vector_is_not(folder):
    edit_weights(folder, lambda weights: weights.pop("wav2vec2.masked_spec_embed"))
    assert checks.check_keys(folder).passed
    edit_weights(folder, lambda weights: weights.pop("wav2vec2.encoder.layer_norm.weight"))
    refused(checks.check_keys(folder), "1 random weights in the encoder (first: wav2vec2.encoder.layer_norm.weight)")


@pytest.mark.parametrize(
    "path",
    [
        "/home/me/whisper",
        "/Users/me/x",
        r"C:\Users\me",
        "D:/data/x",
        "/tmp/run",
        "/root",
        "file:///x",
        "/mnt/a",
        "/data/me/enc",
        "/cluster9/me",
        "~/secret/enc",
        "~me/enc",
        r"\\server\share",
    ],
)
def test_absolute_paths_are_refused(folder, path):
    edit(folder / "config.json", _name_or_path=path)
    refused(privacy.check_paths(folder), "config.json: ")


@pytest.mark.parametrize("text", ["https://example.org/home/me", "data/home/x", "and/or", "../models/whisper", "12:30"])
def test_other_texts_are_no_absolute_paths(folder, text):
    (folder / "recipe.yaml").write_text(f"model_name_or_path: {text}\n")
    assert privacy.check_paths(folder).passed


def test_a_path_beside_an_export_is_refused(folder):
    (folder / "onnx").mkdir()
    (folder / "onnx" / "export.json").write_text('{"from": {"here": ["/cluster9/me/run"]}}')
    refused(privacy.check_paths(folder), "export.json: /cluster9/me/run")


def test_a_path_in_the_weights_is_refused(folder):
    edit_weights(folder, lambda _: None, metadata={"format": "pt", "from": "trained in\n/home/me/run"})
    refused(privacy.check_paths(folder), "model.safetensors: /home/me/run")


@pytest.mark.parametrize("kind", ["hf_", "hf_oauth_", "ghp_", "github_pat_"])
def test_a_token_is_refused_and_not_quoted(folder, kind):
    token = kind + "a1B2" * 8
    edit_weights(folder, lambda _: None, metadata={"format": "pt", "note": token})
    (folder / "recipe.yaml").write_text(f"hub_token: {token}\n")
    check = privacy.check_tokens(folder)
    refused(check, "in recipe.yaml, model.safetensors")
    assert token not in str(check)


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("# A model\n", "a card without results"),
        ("---\nlicense: mit\nmodel-index:\n- name: x\n  results: []\n---\n", "a card without results"),
        ("---\nlicense: [\n---\n", "invalid YAML metadata"),
        (None, "README.md is missing"),
    ],
)
def test_a_card_without_results_is_refused(folder, card, words):
    (folder / "README.md").unlink()
    if card:
        (folder / "README.md").write_text(card)
    refused(record_checks.check_card(folder), words)


def test_a_run_without_results_is_refused(folder):
    (folder / "all_results.json").unlink()
    refused(record_checks.check_results(folder), "no test scores")


@pytest.mark.parametrize("ua", [74.2, -0.1])
def test_impossible_results_are_refused(folder, ua):
    results = checks.read_json_or_empty(folder / "all_results.json")
    edit(folder / "all_results.json", test=results["test"] | {"ua": ua})
    refused(record_checks.check_results(folder), f"impossible: ua {ua}")


def test_a_card_that_tells_another_score_than_the_results_is_refused(folder):
    results = checks.read_json_or_empty(folder / "all_results.json")
    edit(folder / "all_results.json", test=results["test"] | {"ua": 0.99})
    refused(record_checks.check_card(folder), "it does not contain ua 0.99 of all_results.json")


@pytest.mark.parametrize("text", ["", "- a\n", "a: [\n", "model_type: mel\n", None])
def test_a_run_without_its_recipe_is_refused(folder, text):
    (folder / "recipe.yaml").unlink()
    if text is not None:
        (folder / "recipe.yaml").write_text(text)
    refused(record_checks.check_recipe(folder), "recipe.yaml")


def test_an_export_of_other_weights_is_refused(folder):
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"garbage")
    refused(record_checks.check_exports(folder), "model.onnx, of other weights")
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    (folder / "onnx" / "export.json").write_text(json.dumps({"weights": {"model.safetensors": digest}}))
    assert record_checks.check_exports(folder).passed


def test_the_mel_models_own_code_passes_and_any_other_is_refused(tmp_path):
    MelForAudioClassification(MelConfig(num_labels=4)).save_pretrained(tmp_path)
    assert checks.check_code(tmp_path).passed
    assert checks.check_architecture(tmp_path).passed
    assert checks.check_keys(tmp_path).passed
    (tmp_path / "extra.py").write_text("")
    refused(checks.check_code(tmp_path), "extra.py")
    (tmp_path / "extra.py").unlink()
    (tmp_path / "preprocessor_config.json").write_text('{"nested": {"auto_map": {"AutoFeatureExtractor": "a/b--c.D"}}}')
    refused(checks.check_code(tmp_path), "a/b--c.D")
    (tmp_path / "preprocessor_config.json").unlink()
    with (tmp_path / "modeling_mel.py").open("a") as code:
        code.write("\n")
    refused(checks.check_code(tmp_path), "modeling_mel.py")


def test_damaged_results_are_named_by_every_check_that_reads_them(published_folder, tmp_path):
    folder = shutil.copytree(published_folder, tmp_path / "tiny")
    (folder / "all_results.json").write_text("[]")
    for check in (record_checks.check_results, record_checks.check_card, check_agreement):
        assert not check(folder).passed
        assert "no object with a whole number as its schema" in check(folder).found
