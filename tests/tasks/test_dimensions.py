import numpy as np
import pandas
import pytest
import torch
from transformers.modeling_outputs import SequenceClassifierOutput

from ser_hf.corpora import Utterance
from ser_hf.tasks import dimensions
from ser_hf.tasks.losses import RegressionLoss


def rated(**ratings):
    return Utterance(path="a.wav", corpus="x", emotion="sad", **ratings)


def test_a_dimension_without_ratings_is_no_output_and_a_missing_rating_is_no_target():
    rows = [rated(arousal=0.5, valence=0.25), rated(arousal=0.75)]
    assert dimensions.list_outputs(rows) == ["arousal", "valence"]
    assert [dimensions.target_of(row, ["arousal", "valence"]) for row in rows] == [[0.5, 0.25], None]


def test_a_corpus_without_ratings_ends_in_one_sentence():
    with pytest.raises(ValueError, match="Expected ratings of arousal, valence, dominance, found none in 1 utterances"):
        dimensions.list_outputs([rated()])


def test_each_score_and_its_interval_are_those_of_their_dimension():
    generator = np.random.default_rng(0)
    targets = generator.uniform(size=(60, 2))
    values = targets * [1.0, 0.5] + [0.0, 0.2]
    table = dimensions.tabulate(list(targets), values, ["arousal", "valence"])
    rows = pandas.DataFrame({"corpus": "x", "speaker": np.repeat(list("abcdefghijkl"), 5), "gender": None}).join(table)
    scores = dimensions.summarize(rows, ["arousal", "valence"])
    assert scores.per_dimension["arousal"]["ccc"] == pytest.approx([1, 1, 1])
    assert scores.per_dimension["valence"]["pearson"] == pytest.approx([1, 1, 1])
    assert scores.per_dimension["valence"]["spread"] == pytest.approx([0.5, 0.5, 0.5])
    value, low, high = scores.per_dimension["valence"]["ccc"]
    assert low < value < high < 1
    assert scores.ccc == pytest.approx((1 + value) / 2)
    assert (scores.interval_unit, scores.warning, len(scores.per_speaker)) == ("speaker", None, 12)


def test_a_constant_rating_has_no_correlation_and_no_spread(recwarn):
    targets = np.array([[0.5, 0.1], [0.5, 0.9], [0.5, 0.4], [0.5, 0.6]])
    table = dimensions.tabulate(list(targets), targets + [[0.1], [0.2], [0.0], [0.1]], ["arousal", "valence"])
    rows = pandas.DataFrame({"corpus": "x", "speaker": list("aabb"), "gender": None}).join(table)
    scores = dimensions.summarize(rows, ["arousal", "valence"])
    assert not [str(warning.message) for warning in recwarn]
    assert scores.per_dimension["arousal"]["pearson"] is scores.per_dimension["arousal"]["spread"] is None
    assert scores.per_dimension["arousal"]["ccc"] == [0, 0, 0]
    assert scores.pearson == pytest.approx(scores.per_dimension["valence"]["pearson"][0] / 2)


def test_the_worst_speaker_of_each_dimension_can_be_told():
    targets = np.array([[0.0, 0.0], [1.0, 1.0]] * 2)
    values = np.array([[0.0, 0.5], [1.0, 0.5], [1.0, 0.0], [0.0, 1.0]])
    table = dimensions.tabulate(list(targets), values, ["arousal", "valence"])
    rows = pandas.DataFrame({"corpus": "x", "speaker": list("aabb"), "gender": "female"}).join(table)
    per_speaker = dimensions.summarize(rows, ["arousal", "valence"]).per_speaker
    assert per_speaker["a"]["dimensions"] == {"arousal": 1, "valence": 0}
    assert per_speaker["b"]["dimensions"] == {"arousal": -1, "valence": 1}
    assert [row["ccc"] for row in per_speaker.values()] == [0.5, 0]


def compare(kind, values, labels):
    return RegressionLoss(kind)(SequenceClassifierOutput(logits=values), labels)


def test_each_loss_equals_values_by_hand():
    values, labels = torch.tensor([[0.25, 0.5], [0.75, 0.5]]), torch.tensor([[0.0, 0.5], [1.0, 0.5]])
    assert compare("mse", values, labels).item() == pytest.approx(0.0625 / 2)
    assert compare("ccc", values[:, :1], labels[:, :1]).item() == pytest.approx(0.2)
    assert compare("ccc_mse", values[:, :1], labels[:, :1]).item() == pytest.approx(0.2625)


@pytest.mark.parametrize("kind", ["ccc", "mse", "ccc_mse"])
@pytest.mark.parametrize("sizes", [(8,), (4, 4), (2, 2, 2, 2), (5, 3)])
def test_the_parts_of_a_step_give_its_loss_and_its_gradient(kind, sizes):
    torch.manual_seed(0)
    layer, inputs, labels = torch.nn.Linear(5, 3), torch.randn(8, 5), torch.rand(8, 3)
    whole = compare(kind, layer(inputs), labels)
    whole.backward()
    expected = layer.weight.grad.clone()
    layer.zero_grad()
    loss = RegressionLoss(kind)
    with torch.no_grad():
        loss.step, loss.parts = (layer(inputs), labels, 0), len(sizes)
    total = 0.0
    for part, target in zip(inputs.split(sizes), labels.split(sizes), strict=True):
        value = loss(SequenceClassifierOutput(logits=layer(part)), target)
        value.backward()
        total += value.item()
    assert total == pytest.approx(whole.item(), rel=1e-5)
    torch.testing.assert_close(layer.weight.grad, expected)
