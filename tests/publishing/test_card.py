import json

import pytest
import yaml
from huggingface_hub import ModelCard

from ser_hf.publishing import render_card

SCORES = {"wa": 0.75, "ua": 0.7123456, "macro_f1": 0.69}
PART = SCORES | {
    "utterances": 240, "speakers": 4, "intervals": {name: [0.6, 0.8] for name in SCORES}, "interval_unit": "speaker",
    "warning": "95 % interval from 4 speakers only.",
    "per_emotion": {"happy": {"precision": 0.5, "recall": 0.625, "f1": 0.55, "support": 120}},
}  # fmt: skip
GROUP = {"speakers": ["01", "02"], "utterances": 480, "emotions": {"happy": 240}}
RESULTS = {
    "emotions": ["happy", "sad"],
    "validation": PART,
    "test": PART,
    "split": {
        "name": "emobox, fold 1", "speaker_independent": True, "train": GROUP, "validation": GROUP, "test": GROUP,
    },
    "audio": {"hours": 1.5, "skipped": 3, "too_short": 4, "windowed": 2, "padded": 1, "dropped_emotions": {"calm": 7}},
    "audit": {"shared_speaker": 0, "identical_audio": 3, "overlapping_audio": 1},
    "training": {
        "architecture": "WhisperForAudioClassification", "parameters": 8_300_000, "epochs_run": 9.0, "best_epoch": 7.0,
        "seconds": 660.0, "processes": 1, "hardware": "CPU, 2 threads", "date": "2026-11-20",
        "versions": {"ser_hf": "0.1.0", "transformers": "5.23.0", "torch": "2.13.0"},
    },
}  # fmt: skip


@pytest.fixture
def finished(tmp_path):
    def write(recipe=None, results=RESULTS, config=None):
        base = {"corpus": "ravdess", "model_name_or_path": "openai/whisper-tiny.en"}
        recipe = base | {"target": "emotion", "trim": "none"} | (recipe or {})
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        config = {"model_type": "whisper", "max_source_positions": 300} if config is None else config
        (tmp_path / "config.json").write_text(json.dumps(config))
        return tmp_path, results

    return write


def test_the_metadata_reads_back_with_the_stored_scores(finished, tmp_path):
    render_card(*finished(), repo_id="someone/model").save(tmp_path / "README.md")
    data = ModelCard.load(tmp_path / "README.md").data
    assert {result.metric_type: result.metric_value for result in data.eval_results} == SCORES
    assert data.pipeline_tag == "audio-classification"
    assert data.base_model == "openai/whisper-tiny.en"


def test_the_card_says_what_was_measured(finished):
    text = " ".join(str(render_card(*finished(), repo_id="someone/model")).split())
    for statement in (
        "**71.2 %**, 95 % interval 60.0 to 80.0 %",
        "On 4 speakers it never heard",
        "95 % interval from 4 speakers only.",
        "Audio beyond the first 6 seconds is not heard",
        "left out as unreadable: 3, as too short: 4; heard in overlapping windows: 2; padded to 0.25 s in training: 1",
        "Found in two parts of the split: no speakers, 3 identical recordings, 1 overlapping stretches.",
        "Left out by the labels: calm (7)",
        'model="someone/model")',
        "| happy | 62.5 | 50.0 | 55.0 | 120 |",
        "of which epoch 7 was best on the validation speakers",
    ):
        assert statement in text
    assert "Speaker-dependent" not in text
    assert "mean nothing about people" not in text


def test_a_synthetic_corpus_means_nothing_about_people(finished):
    assert "mean nothing about people" in str(render_card(*finished({"corpus": "synthetic"})))


def test_a_leaking_split_is_named(finished):
    results = RESULTS | {"split": RESULTS["split"] | {"speaker_independent": False}}
    text = str(render_card(*finished(results=results)))
    assert "**Speaker-dependent scores.**" in text
    assert "it never heard" not in text


def test_a_local_encoder_is_no_hub_model(finished):
    data = render_card(*finished({"model_name_or_path": "../models/encoder"})).data
    assert data.base_model is None


def test_remote_code_is_asked_for_where_the_model_brings_some(finished):
    config = {"model_type": "mel", "auto_map": {"AutoConfig": "configuration_mel.MelConfig"}}
    assert "trust_remote_code=True" in str(render_card(*finished(config=config)))
