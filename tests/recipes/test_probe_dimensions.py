"""Ridge and support vector regression on frozen features, end to end: `recipes/probe.py` on rated tones."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_hf import DataArguments, EmotionClassifier
from ser_hf.evaluation import read_predictions
from ser_hf.publishing.gate import run_gate
from ser_hf.runs.results import read_results
from ser_hf.scoring.evaluate import evaluate
from ser_hf.scoring.evaluation_arguments import EvaluationArguments

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "probe.py"


@pytest.fixture(scope="module")
def probed(tmp_path_factory, annotated_table):
    """The output folder of a probe with the embeddings of a random encoder."""
    out = tmp_path_factory.mktemp("probe") / "out"
    runpy.run_path(str(RECIPE))["main"]([
        "--corpus", "table", "--data_root", str(annotated_table), "--task", "dimensions", "--rating_scale", "1", "5",
        "--output_dir", str(out), "--processes", "1",
    ])  # fmt: skip
    return out


def test_the_regressor_that_training_speakers_choose_predicts_the_ratings(probed):
    results = read_results(probed)
    assert [row.head for row in results.candidates] == ["ridge", "svr_linear", "svr_rbf"]
    (chosen,) = (row for row in results.candidates if row.chosen)
    assert chosen.inner_score == max(row.inner_score for row in results.candidates)
    assert (results.task, results.outputs, results.rating_scale) == ("dimensions", ["arousal", "valence"], (1, 5))
    assert chosen.scores["ccc"] == results.test.ccc > 0.5  # the pitch tells the ratings
    assert {path.name for path in (probed / "figures").iterdir()} == {"candidates.png", "ratings.png", "plane.png"}
    table = read_predictions(probed / "predictions.csv")
    speakers = {part: set(rows["speaker"]) for part, rows in table.groupby("split")}
    assert len(table) == 48 and not speakers["validation"] & speakers["test"]


def test_its_card_shows_each_dimension_and_it_can_be_published(probed):
    card = (probed / "README.md").read_text()
    assert "it reaches CCC\n**" in card and "| valence |" in card and "| alpha " in card
    assert "estimator__" not in card and "recall" not in card
    assert [check.name for check in run_gate(probed) if not check.passed] == []


def test_ratings_are_shown_on_the_scale_of_the_annotators(probed, annotated_table, tmp_path):
    row = read_predictions(probed / "predictions.csv").query("split == 'test'").iloc[0]
    samples, _ = soundfile.read(annotated_table.parent / row["path"], dtype="float32")
    shown = EmotionClassifier.from_pretrained(probed)(samples, sampling_rate=16_000)
    expected = {name: 1 + 4 * np.clip(row[f"score_{name}"], 0, 1) for name in ("arousal", "valence")}
    assert shown == pytest.approx(expected, abs=1e-4)
    options = EvaluationArguments(model=str(probed), output_dir=str(tmp_path / "scored"))
    scored = evaluate(DataArguments(["table"], [str(annotated_table)], rating_scale=[1, 5]), options)
    assert (scored.task, scored.test.utterances, scored.evaluation.backend) == ("dimensions", 48, "probe")
    assert json.loads((probed / "head.json").read_text())["rating_scale"] == [1, 5]
