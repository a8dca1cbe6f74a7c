"""Checkpoints of votes and of ratings with everything that serves a checkpoint: they show what the pipeline gives."""

import json

import numpy as np
import pandas
import pytest
import soundfile
from architectures import feature_extractor, tiny_model
from gradio_client import Client, handle_file
from transformers import pipeline

from ser_hf import DataArguments
from ser_hf.commands.predict import predict_command
from ser_hf.commands.timeline import timeline_command
from ser_hf.evaluation import read_predictions
from ser_hf.publishing.export import export_onnx
from ser_hf.scoring.evaluate import evaluate
from ser_hf.scoring.evaluation_arguments import EvaluationArguments
from ser_hf.serving import EmotionClassifier, page
from ser_hf.serving.segment_summary import summarize
from ser_hf.tasks import load_task

RATE = 16_000
CONFIGS = {
    "votes": {"ser_hf_task": "votes", "problem_type": "single_label_classification", "uncertainty_threshold": 0.2},
    "dimensions": {"ser_hf_task": "dimensions", "problem_type": "regression", "rating_scale": [1, 7]},
}
SLOW_VOTES = pytest.mark.parametrize(  # their values are computed like those of categories
    "checkpoint", [pytest.param("votes", marks=pytest.mark.slow), "dimensions"], indirect=True
)
OUTPUTS = {"votes": ("angry", "happy", "sad"), "dimensions": ("arousal", "valence", "dominance")}


@pytest.fixture(scope="module", params=["votes", "dimensions"])
def checkpoint(request, tmp_path_factory):
    """A checkpoint of random weights of either task, in a folder with its name."""
    folder = tmp_path_factory.mktemp("checkpoint") / request.param
    model = tiny_model("wav2vec2-layer", emotions=OUTPUTS[request.param])
    model.classifier.weight.data *= 0.2
    if request.param == "dimensions":
        model.classifier.bias.data += 0.5  # the middle of the scale
    model.config.update(CONFIGS[request.param])
    model.save_pretrained(folder)
    feature_extractor("wav2vec2-layer").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """Noise of two seconds, a second of silence, and noise of two seconds."""
    path = tmp_path_factory.mktemp("audio") / "talk.wav"
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 2 * RATE))
    soundfile.write(path, np.concatenate([noise[0], np.zeros(RATE), noise[1]]), RATE)
    return path


@pytest.fixture(scope="module")
def expected(checkpoint, talk):
    """Return by output what is shown for the recording, from the bare pipeline; ratings from 1 to 7."""
    answers = pipeline("audio-classification", model=str(checkpoint))(soundfile.read(talk, dtype="float32")[0])
    if checkpoint.name == "votes":
        return {answer["label"]: answer["score"] for answer in answers}
    return {answer["label"]: 1 + 6 * min(1, max(0, answer["score"])) for answer in answers}


def test_a_table_has_what_the_pipeline_gives(checkpoint, talk, expected, tmp_path):
    predict_command([str(talk), "--model", str(checkpoint), "--output", str(tmp_path / "table.csv")])
    (row,) = pandas.read_csv(tmp_path / "table.csv").to_dict("records")
    assert {name: row[f"score_{name}"] for name in expected} == pytest.approx(expected, abs=1e-4)
    if checkpoint.name == "votes":
        assert row["prediction"] == max(expected, key=expected.get)
    else:
        shown = ", ".join(f"{name} {expected[name]:.1f}" for name in ("arousal", "valence", "dominance"))
        assert row["prediction"] == shown and np.isnan(row["uncertain"])


@SLOW_VOTES
def test_onnx_gives_the_same_values(checkpoint, talk, expected):
    pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")
    export_onnx(checkpoint)
    for dtype, tolerance in (("float32", 1e-4), ("int8", 0.3)):
        classifier = EmotionClassifier.from_pretrained(checkpoint, backend="onnx", dtype=dtype)
        assert (classifier.task, classifier.backend) == (checkpoint.name, "onnx")
        assert classifier(talk) == pytest.approx(expected, abs=tolerance)


def test_a_timeline_and_a_stream_have_the_same_values_over_time(checkpoint, talk, tmp_path, capsys):
    classifier = EmotionClassifier.from_pretrained(checkpoint, backend="torch")
    segments = list(classifier.timeline(talk))
    samples, _ = soundfile.read(talk, dtype="float32")
    chunks = np.array_split(samples, 50)
    streamed = [segment for segment in classifier.stream(iter(chunks), RATE) if segment.final]
    assert [segment.scores for segment in streamed] == [pytest.approx(segment.scores) for segment in segments]
    low, high = (0, 1) if checkpoint.name == "votes" else (1, 7)
    assert all(low <= value <= high for segment in segments for value in segment.scores.values())
    outputs = [str(tmp_path / f"talk.{kind}") for kind in ("csv", "png", "vtt")]
    timeline_command([str(talk), "--model", str(checkpoint), "--output", *outputs])
    printed, rows = capsys.readouterr().out, pandas.read_csv(outputs[0])
    assert rows["start"].tolist() == [segment.start for segment in segments]
    assert all(segment.emotion in printed for segment in segments)
    assert ("%" in printed) == (checkpoint.name == "votes")
    assert segments[0].emotion in (tmp_path / "talk.vtt").read_text()


@SLOW_VOTES
def test_the_page_answers_by_its_api(checkpoint, talk, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    classifier = EmotionClassifier.from_pretrained(checkpoint, backend="torch")
    expected = summarize(list(classifier.timeline(talk)), load_task(classifier.task).answer).scores
    blocks = page.build_page(classifier)
    try:
        client = Client(page.serve_page(blocks), verbose=False, download_files=False)
        words, bars, *_ = client.predict(handle_file(str(talk)), api_name="/recognise")
    finally:
        blocks.close()
    shares = {bar["label"]: bar["confidence"] for bar in bars["value"]["confidences"]}
    if checkpoint.name == "votes":
        assert shares == pytest.approx(expected, abs=1e-4)
        assert f"{100 * max(expected.values()):.1f} %" in words
    else:
        assert words.startswith(f"## arousal {expected['arousal']:.1f}, valence")
        bar = f"valence {expected['valence']:.1f}, on a scale from 1 to 7"
        assert shares[bar] == pytest.approx((expected["valence"] - 1) / 6, abs=1e-4)


def test_an_evaluation_has_targets_and_values_of_the_task(checkpoint, write_audio, tmp_path):
    rows = []
    for i in range(8):
        write_audio(tmp_path / f"{i}.wav", frequency=150 + 50 * i)
        rows.append([f"{i}.wav", ("angry", "sad")[i % 2], f"s{i % 4}", 3 - i % 2, 1 + i % 3, 1 + i % 7, 7 - i % 5])
    columns = ["path", "emotion", "speaker", "votes_angry", "votes_sad", "arousal", "valence"]
    pandas.DataFrame(rows, columns=columns).to_csv(tmp_path / "rated.csv", index=False)
    scale = [] if checkpoint.name == "votes" else [1, 7]
    data = DataArguments(["table"], [str(tmp_path / "rated.csv")], rating_scale=scale)
    results = evaluate(data, EvaluationArguments(model=str(checkpoint), output_dir=str(tmp_path / "scored")))
    assert (results.task, results.test.utterances) == (checkpoint.name, 8)
    shared = {"votes": ["angry", "sad"], "dimensions": ["arousal", "valence"]}[checkpoint.name]
    assert results.outputs == shared
    table = read_predictions(tmp_path / "scored" / "predictions.csv")
    assert {f"{kind}_{name}" for kind in ("target", "score") for name in shared} <= set(table)
    assert json.loads((tmp_path / "scored" / "all_results.json").read_text())["task"] == checkpoint.name
