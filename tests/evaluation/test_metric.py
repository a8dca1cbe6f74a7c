import numpy as np
import pytest

from ser_hf.evaluation import compute_scores
from ser_hf.evaluation.metric import SpeechEmotionMetric


@pytest.fixture
def metric(tmp_path):
    return SpeechEmotionMetric(cache_dir=str(tmp_path))


def test_the_metric_gives_the_scores_computed_by_hand(metric):
    scores = metric.compute(predictions=[0, 0, 0, 1, 1, 0, 0], references=[0, 0, 0, 0, 1, 1, 2])
    assert scores == {
        "wa": pytest.approx(4 / 7),
        "ua": pytest.approx((3 / 4 + 1 / 2) / 3),
        "macro_f1": pytest.approx((2 / 3 + 1 / 2) / 3),
    }


def test_the_metric_of_ids_equals_the_scores_of_names(metric):
    emotions = ["angry", "calm", "happy", "sad", "surprised"]
    references, predictions = np.random.default_rng(0).integers(0, 4, size=(2, 200))  # 'surprised' never occurs
    by_name = compute_scores(
        [emotions[label] for label in references], [emotions[label] for label in predictions], emotions
    )
    by_id = metric.compute(predictions=predictions, references=references)
    assert by_id == {name: by_name[name] for name in ("wa", "ua", "macro_f1")}
    assert all(type(score) is float for score in by_id.values())


def test_batches_score_like_the_whole(metric):
    references, predictions = np.random.default_rng(1).integers(0, 3, size=(2, 50))
    whole = metric.compute(predictions=predictions, references=references)
    for start in range(0, 50, 16):
        metric.add_batch(predictions=predictions[start : start + 16], references=references[start : start + 16])
    assert metric.compute() == whole


def test_an_evaluation_does_not_leak_into_the_next(metric):
    assert metric.compute(predictions=[0, 1], references=[1, 0])["wa"] == 0
    assert metric.compute(predictions=[0, 1], references=[0, 1])["wa"] == 1


def test_names_instead_of_ids_are_an_error(metric):
    with pytest.raises(ValueError, match="invalid literal"):
        metric.compute(predictions=["sad"], references=["sad"])
