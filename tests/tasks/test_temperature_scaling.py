"""Calibration after training: of a tiny model by logits that are too sure, and of the reference model as stored."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from architectures import feature_extractor, tiny_model
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from scipy.special import softmax

from ser_hf.evaluation.predictions import COLUMNS
from ser_hf.tasks.temperature_scaling import calibrate, describe_calibration

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
EMOTIONS = ["angry", "calm", "happy", "sad"]
COUNT, TOO_SURE = 600, 2.0


@pytest.fixture(scope="module")
def scored():
    """Two parts of a dataset, and logits for them that are twice as sure as the labels allow."""
    rng, dataset, logits = np.random.default_rng(0), DatasetDict(), {}
    features = Features({name: Value("string") for name in COLUMNS})
    features |= {"emotion": Value("string"), "label": ClassLabel(names=EMOTIONS), "utterance": Value("int64")}
    for part in ("validation", "test"):
        honest = rng.normal(0, 2, (COUNT, 4))
        labels = [int(rng.choice(4, p=scores)) for scores in softmax(honest, -1)]
        columns = {name: [None] * COUNT for name in features}
        columns |= {"label": labels, "emotion": [EMOTIONS[label] for label in labels], "utterance": range(COUNT)}
        dataset[part], logits[part] = Dataset.from_dict(columns, features=Features(features)), TOO_SURE * honest
    return dataset, logits


def answer(model):
    waveform = 0.1 * torch.sin(torch.arange(8000) / 9)
    inputs = feature_extractor("wav2vec2-layer")(waveform.numpy(), sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        return model.eval()(**inputs).logits


def test_the_temperature_is_fitted_on_validation_and_folded_into_the_model(scored):
    dataset, logits = scored
    model = tiny_model("wav2vec2-layer")
    before = answer(model)
    after = calibrate(model, dataset["validation"], logits["validation"])
    temperature = model.config.calibration_temperature
    assert temperature == pytest.approx(TOO_SURE, rel=0.1)
    torch.testing.assert_close(answer(model), before / temperature)
    np.testing.assert_allclose(after, logits["validation"] / temperature)


def test_what_is_told_of_it_was_measured_on_each_part(scored, tmp_path):
    dataset, logits = scored
    model = tiny_model("wav2vec2-layer")
    calibrate(model, dataset["validation"], logits["validation"])
    temperature, threshold = model.config.calibration_temperature, model.config.uncertainty_threshold
    calibrated = {part: logits[part] / temperature for part in logits}
    told = asdict(describe_calibration(model, dataset, calibrated, tmp_path))
    assert told["temperature"] == temperature and told["threshold"]["score"] == threshold
    for part in logits:
        labels = np.array(dataset[part]["label"])
        for when, divisor in (("before", 1), ("after", temperature)):
            scores = softmax(logits[part] / divisor, -1)
            assert told[when][part]["nll"] == pytest.approx(-np.log(scores[np.arange(COUNT), labels]).mean())
        assert told["after"][part]["ece"] < told["before"][part]["ece"] / 2
        best = softmax(calibrated[part], -1).max(-1)
        assert told["threshold"][part]["coverage"] == pytest.approx((best >= threshold).mean())
    right = logits["validation"].argmax(-1) == np.array(dataset["validation"]["label"])
    stay = softmax(calibrated["validation"], -1).max(-1) >= threshold
    assert 1 - right[stay].mean() <= (1 - right.mean()) / 2 + 1e-9
    assert {path.name for path in tmp_path.iterdir()} == {"coverage.png", "reliability.png"}


@pytest.mark.parametrize("error", ["ece", "brier", "nll"])
def test_calibration_lowered_the_errors_of_the_reference_model(error):
    results = json.loads((GOLDEN / "ravdess_whisper_tiny_fold_1" / "all_results.json").read_text())
    calibration = results["calibration"]
    for part in ("validation", "test"):
        assert calibration["after"][part][error] < calibration["before"][part][error]
