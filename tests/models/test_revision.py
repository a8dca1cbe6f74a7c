"""An encoder on the Hub is loaded from the commit that was asked for, and its commit is known."""

import pytest
import torch
from architectures import feature_extractor, tiny_model
from publishing.hub_server import Repository, object_id, use_hub
from transformers import Wav2Vec2ForPreTraining

from ser_hf import DataArguments, ModelArguments, probe
from ser_hf.foreign_files import read_json
from ser_hf.heads.embedder import Embedder
from ser_hf.heads.probe_arguments import ProbeArguments
from ser_hf.models import build_model
from ser_hf.models.location import commit_of
from ser_hf.models.self_supervised import build_self_supervised
from ser_hf.runs.pretraining_arguments import PretrainingArguments
from ser_hf.serving import EmotionClassifier

EMOTIONS = ["angry", "happy"]


@pytest.fixture
def commits(tmp_path, monkeypatch):
    """Serve the encoder someone/tiny, and return its commits; all weights are 0.25 in the first, 0.5 in the second."""
    with use_hub(monkeypatch, tmp_path / "cache") as hub:
        repository = hub.repositories["someone/tiny"] = Repository(private=False)
        for value in (0.25, 0.5):
            model = Wav2Vec2ForPreTraining(tiny_model("wav2vec2-layer").config)
            for parameter in model.parameters():
                torch.nn.init.constant_(parameter, value)
            model.save_pretrained(tmp_path / "tiny")
            feature_extractor("wav2vec2-layer").save_pretrained(tmp_path / "tiny")
            files = {path.name: path.read_bytes() for path in (tmp_path / "tiny").iterdir()}
            repository.commit(files)
            hub.large |= {object_id(content): content for content in files.values()}
        yield list(repository.commits)


def weight(model):
    return model.base_model.encoder.layers[0].attention.q_proj.weight[0, 0].item()


def test_without_a_revision_the_newest_commit_is_loaded_and_named(commits):
    model, _ = build_model("someone/tiny", outputs=EMOTIONS)
    assert (weight(model), commit_of(model.config)) == (0.5, commits[1])


def test_an_older_commit_is_loaded_by_its_hash_whatever_the_overrides(commits):
    first = {"revision": commits[0]}
    overrides = {"config_overrides": {"attention_dropout": "0.0"}}
    model, _ = build_model("someone/tiny", outputs=EMOTIONS, **overrides, **first)
    assert (weight(model), commit_of(model.config)) == (0.25, commits[0])
    model, _ = build_self_supervised("someone/tiny", **overrides, **first)
    assert (weight(model), commit_of(model.config)) == (0.25, commits[0])
    assert weight(Embedder("someone/tiny", **first).model) == 0.25


def test_the_commit_is_not_in_the_saved_configuration(commits, tmp_path):
    model, _ = build_model("someone/tiny", outputs=EMOTIONS)
    model.save_pretrained(tmp_path / "out")
    assert commits[1] not in (tmp_path / "out" / "config.json").read_text()


def test_an_unknown_revision_is_an_error_that_names_it(commits):
    with pytest.raises(OSError, match="Cannot load 'someone/tiny' at revision 'v9'"):
        build_model("someone/tiny", outputs=EMOTIONS, revision="v9")


def test_a_probe_records_the_commit_of_its_encoder_and_runs_with_it(commits, toy_ravdess, tmp_path):
    out = tmp_path / "probe"
    options = {"features": ["embedding"], "layers": "all", "heads": ["svm_linear"]}
    encoder = {"model_name_or_path": "someone/tiny", "revision": commits[0]}
    results = probe(
        DataArguments(corpus=["ravdess"], data_root=[str(toy_ravdess)]), ProbeArguments(str(out), **options, **encoder)
    )
    assert results.training.base_commit == commits[0]
    assert read_json(out / "head.json")["features"]["revision"] == commits[0]
    assert f"Encoder: someone/tiny, commit {commits[0]} on the Hub." in (out / "README.md").read_text(encoding="utf-8")
    EmotionClassifier.from_pretrained(out)
    assert not list((tmp_path / "cache").rglob(f"snapshots/{commits[1]}"))


@pytest.mark.parametrize(
    "arguments", [ModelArguments, PretrainingArguments, lambda *x, **y: ProbeArguments("out", ["embedding"], *x, **y)]
)
def test_a_revision_of_a_folder_is_refused(arguments, tmp_path):
    with pytest.raises(ValueError, match="revision: expected with the id of an encoder on the Hub, found the folder"):
        arguments(str(tmp_path), revision="v1")


def test_a_revision_of_random_weights_is_refused():
    with pytest.raises(ValueError, match="revision: expected .* found no encoder. Leave it out"):
        ModelArguments(model_type="mel", revision="v1")
