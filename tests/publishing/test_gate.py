import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from architectures import feature_extractor, tiny_model
from safetensors.torch import load_file, save_file

from ser_hf.heads.head_files import save_head
from ser_hf.heads.head_fitting import fit_head
from ser_hf.models import MelConfig, MelForAudioClassification
from ser_hf.models.checkpoint_loading import default_feature_extractor
from ser_hf.publishing import bare_pipeline
from ser_hf.publishing.answers import check_answers, check_padding, reference_waveforms, write_answers
from ser_hf.publishing.gate import describe_checks, require, run_gate


@pytest.fixture
def folder(published_folder, tmp_path):
    return shutil.copytree(published_folder, tmp_path / "tiny")


def test_the_gate_passes_a_finished_run_and_says_each_figure(published_folder):
    checks = run_gate(published_folder)
    require(checks)
    text = describe_checks(checks)
    assert len(text.splitlines()) == len(checks) == 19
    assert "3 waveforms, largest difference of a score" in text
    assert "equal scores for 8 of 8 test utterances, largest difference 0.0e+00 (allowed: 0.0001)" in text
    assert "FAULT" not in text


def test_the_gate_names_every_fault_and_its_remedy(folder):
    weights = load_file(folder / "model.safetensors")
    weights["head.weight"] = weights.pop("classifier.weight")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "README.md").write_text("# Mine, from /home/me\n")
    (folder / "recipe.yaml").write_text("hub_token: hf_" + "a1" * 15)
    checks = run_gate(folder)
    with pytest.raises(ValueError, match=r"Not publishable, 7 of 19 checks failed:") as caught:
        require(checks)
    for fault in (
        "- weights complete: a random head, because classifier.weight",
        "- answers: 3 waveforms, largest difference of a score",
        "- agreement with the stock pipeline: model.safetensors: changed since the comparison at the end",
        "- card: a card without results. Render the card",
        "recipe.yaml' names no corpus",
        "- absolute paths: README.md: /home/me. Replace it",
        "- tokens: in recipe.yaml. Delete it, and revoke it",
    ):
        assert fault in str(caught.value)
    assert describe_checks(checks).count("FAULT") == 7


@pytest.mark.parametrize("answers", [{"scores": [1]}, {"sampling_rate": "16k", "scores": []}])
def test_answers_of_another_kind_are_a_fault_among_others(folder, answers):
    (folder / "answers.json").write_text(json.dumps(answers))
    (fault,) = (check for check in run_gate(folder) if not check.passed)
    assert fault.name == "answers"


@pytest.mark.parametrize(
    ("unfinished", "words"),
    [
        ("preprocessor_config.json", "- preprocessor: preprocessor_config.json"),
        ("model.safetensors", "- weights format"),
    ],
)
def test_what_cannot_be_loaded_is_refused_before_it_is_tried(folder, unfinished, words):
    (folder / unfinished).unlink()
    with pytest.raises(ValueError, match=words) as caught:
        require(run_gate(folder))
    assert "- loading: not tried." in str(caught.value)


def test_pickled_weights_are_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"- weights format: pytorch_model.bin. A pickle can run code"):
        require(run_gate(folder))


def test_a_probe_is_checked_without_the_pipeline_which_cannot_run_it(folder):
    for name in ("config.json", "preprocessor_config.json", "model.safetensors", "answers.json"):
        (folder / name).unlink()
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 10)
    vectors = (rng.normal(size=(20, 3)) + labels[:, None]).astype(np.float32)
    head = fit_head("logistic_regression", vectors, labels, [str(i % 5) for i in range(20)])
    save_head(head, folder, emotions=["happy", "sad"], features={})
    checks = run_gate(folder)
    require(checks)
    assert "logistic_regression for 2 emotions; the stock pipeline cannot run it" in checks[0].found
    (folder / "head.skops").unlink()
    with pytest.raises(ValueError, match=r"- head: .* missing \['head.skops'\]"):
        require(run_gate(folder))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="No folder"):
        run_gate(tmp_path / "none")


def test_the_mel_model_answers_through_its_own_code_and_other_answers_are_refused(tmp_path):
    names = {"id2label": {0: "happy", 1: "sad"}, "label2id": {"happy": 0, "sad": 1}}
    config = MelConfig(**names)
    MelForAudioClassification(config).save_pretrained(tmp_path)
    default_feature_extractor(config).save_pretrained(tmp_path)
    answers = write_answers(tmp_path)
    answers["scores"][1]["sad"] += 2e-4
    (tmp_path / "answers.json").write_text(json.dumps(answers))
    check = check_answers(tmp_path)
    assert not check.passed
    assert "largest difference of a score 2.0e-04 (allowed: 0.0001)" in check.found


def test_foreign_code_is_not_run(folder):
    (folder / "modeling.py").write_text("raise SystemExit")
    check = check_answers(folder)
    assert not check.passed
    assert check.found.startswith("not run, because the checkpoint contains code: files ['modeling.py']")


def test_answers_to_other_waveforms_are_refused(folder):
    answers = json.loads((folder / "answers.json").read_text())
    answers["waveforms"][0]["sha256"] = "0"
    (folder / "answers.json").write_text(json.dumps(answers))
    assert "other waveforms" in check_answers(folder).found
    (folder / "answers.json").unlink()
    assert "answers.json is missing" in check_answers(folder).found


def test_the_probe_waveforms_are_the_same_everywhere_and_unlike_each_other(published_folder):
    waveforms = reference_waveforms(16_000)
    assert [len(waveform) / 16_000 for waveform in waveforms] == [0.6, 1.3, 2.9]
    for waveform in waveforms:
        assert waveform.dtype == np.float32
        assert 0.3 < np.abs(waveform).max() <= 1
        assert np.array_equal(waveform * 2**15, np.round(waveform * 2**15))
    stored = json.loads((published_folder / "answers.json").read_text())
    assert [item["sha256"][:8] for item in stored["waveforms"]] == ["1c7ed9aa", "bbbaa667", "9dbea065"]
    scores = np.array([list(utterance.values()) for utterance in stored["scores"]])
    assert np.abs(scores.sum(1) - 1).max() < 1e-6
    assert len(np.unique(scores.round(3), axis=0)) == 3


def test_a_stock_group_norm_model_passes_with_its_figure_and_the_sentence_for_the_card(tmp_path):
    tiny_model("wav2vec2-group").save_pretrained(tmp_path)
    feature_extractor("wav2vec2-group").save_pretrained(tmp_path)
    check = check_padding(tmp_path)
    assert check.passed
    assert re.search(r"difference of a score \d.\de-0[12]; padding changes the scores of this arch", check.found)


def test_an_exact_mask_that_is_not_used_is_refused(folder):
    extractor = feature_extractor("wav2vec2-layer")
    extractor.return_attention_mask = False
    extractor.save_pretrained(folder)
    check = check_padding(folder)
    assert not check.passed
    assert "(allowed: 0.0001)" in check.found


def test_answers_that_need_ser_hf_are_refused(published_folder, tmp_path, monkeypatch, fresh_process):
    script = tmp_path / "script.py"
    script.write_text(f"import ser_hf\n{Path(bare_pipeline.__file__).read_text()}")
    monkeypatch.setattr(bare_pipeline, "__file__", str(script))
    check = check_answers(published_folder)
    assert not check.passed
    assert "ser_hf was imported" in check.found
