import numpy as np
import pandas
import pytest
import torch
from transformers.modeling_outputs import SequenceClassifierOutput

from ser_hf.corpora import Utterance, map_labels
from ser_hf.tasks import votes
from ser_hf.tasks.losses import VoteDivergence


def utterance(emotion="sad", counts=None, **fields):
    return Utterance(path="a.wav", corpus="x", emotion=emotion, votes=counts, **fields)


def test_votes_are_counted_for_the_outputs_and_an_utterance_without_votes_counts_once():
    outputs = ["angry", "happy", "sad"]
    assert votes.target_of(utterance(counts={"sad": 2, "angry": 1, "bored": 4}), outputs) == [1, 0, 2]
    assert votes.target_of(utterance("happy"), outputs) == [0, 1, 0]
    assert votes.target_of(utterance(counts={"bored": 3}), outputs) is None


def test_outputs_are_the_emotions_with_a_majority_somewhere():
    rows = [utterance("sad", {"sad": 2, "calm": 1}), utterance("no_agreement", {"sad": 1, "happy": 1})]
    assert votes.list_outputs([*rows, utterance("angry")]) == ["angry", "sad"]


@pytest.mark.parametrize("counts", [None, {"sad": 1}])
def test_one_annotator_everywhere_makes_no_distribution(counts):
    with pytest.raises(ValueError, match="votes of several annotators, found 1 utterances with at most"):
        votes.list_outputs([utterance(counts=counts)])


def test_an_emotion_that_only_occurs_in_votes_can_be_renamed_and_dropped():
    rows = [utterance("sad", {"sad": 2, "other": 1}), utterance("happy", {"happy": 1, "tired": 2})]
    for old in ("other", "tired"):
        kept, dropped = map_labels(rows, label_map={old: ""})
        assert votes.list_outputs(kept) == ["happy", "sad"] and not dropped
        assert [votes.target_of(row, ["happy", "sad"]) for row in kept] == [[0, 2], [1, 0]]
    kept, _ = map_labels(rows, label_map={"tired": "sad"})
    assert votes.target_of(kept[1], ["happy", "sad"]) == [1, 2]
    with pytest.raises(ValueError, match=r"renames \['othr'\].*Did you mean 'other'"):
        map_labels(rows, label_map={"othr": ""})


def test_votes_that_are_not_used_are_counted():
    rows = [
        utterance("sad", {"sad": 2, "other": 1}),
        utterance("happy", {"happy": 1, "tired": 2.5, "other": 1}),
        utterance("happy"),
    ]
    assert votes.count_votes(rows, ["happy", "sad"]) == ({"other": 2, "tired": 2.5}, 1)


def test_label_sets_and_renaming_apply_to_votes_too():
    rows = [
        utterance("excited", {"excited": 2, "happy": 1, "surprised": 1}),
        utterance("no_agreement", {"sad": 1, "angry": 1}),
    ]
    kept, dropped = map_labels(rows, label_set="four", keep_no_agreement=True)
    assert [(row.emotion, row.votes) for row in kept] == [
        ("happy", {"happy": 3, "surprised": 1}),
        ("no_agreement", {"sad": 1, "angry": 1}),
    ]
    kept, dropped = map_labels(rows, label_set="four")
    assert len(kept) == 1 and dropped == {"no_agreement": 1}


def test_the_table_holds_shares_and_leaves_the_target_of_a_tie_empty():
    table = votes.tabulate([[3, 1], [2, 2]], np.array([[0.25, 0.75], [0.5, 0.5]]), ["happy", "sad"])
    assert table.to_dict("list") == {
        "target": ["happy", ""],
        "prediction": ["sad", "happy"],
        "target_happy": [0.75, 0.5],
        "target_sad": [0.25, 0.5],
        "score_happy": [0.25, 0.5],
        "score_sad": [0.75, 0.5],
    }


def test_ties_count_in_the_soft_scores_and_not_in_those_of_the_majority():
    table = votes.tabulate([[3, 1], [2, 2], [0, 4]], np.array([[0.75, 0.25], [1, 0], [0.5, 0.5]]), ["happy", "sad"])
    rows = pandas.DataFrame({"corpus": "x", "speaker": ["1", "2", "3"], "gender": ["male", None, "female"]}).join(table)
    scores = votes.summarize(rows, ["happy", "sad"])
    assert scores.soft_accuracy == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert scores.intervals["soft_accuracy"] == [0.5, 1.0]
    assert (scores.utterances, scores.majority.utterances, scores.majority.wa) == (3, 2, 0.5)
    assert scores.per_emotion["sad"] == {"votes": pytest.approx(1.75 / 3), "score": 0.25}
    assert scores.per_speaker["1"] == {"soft_accuracy": 1.0, "utterances": 1, "gender": "male"}


def divergence(labels, **options):
    return VoteDivergence(**options)(SequenceClassifierOutput(logits=torch.tensor([[2.0, 0.0, 1.0]])), labels).item()


def test_the_loss_is_zero_for_the_votes_themselves_and_smoothing_adds_votes():
    shares = torch.softmax(torch.tensor([[2.0, 0.0, 1.0]]), 1)
    assert divergence(12 * shares) == pytest.approx(0, abs=1e-6)
    smoothed = divergence(torch.tensor([[3.0, 0.0, 1.0]]), smoothing=1.0)
    assert smoothed == pytest.approx(divergence(torch.tensor([[4.0, 1.0, 2.0]])))


def test_annotator_dropout_leaves_out_whole_votes_in_training_only():
    torch.manual_seed(0)
    labels = torch.tensor([[2.0, 0.0, 1.0]])
    seen = {round(divergence(labels, dropout=0.5), 4) for _ in range(60)}
    possible = ([2, 0, 1], [1, 0, 1], [2, 0, 0], [1, 0, 0], [0, 0, 1])
    assert seen == {round(divergence(torch.tensor([counts], dtype=torch.float)), 4) for counts in possible}
    with torch.no_grad():
        assert {divergence(labels, dropout=0.5) for _ in range(20)} == {divergence(labels)}


def test_the_parts_of_a_step_add_up_to_its_loss():
    logits, labels = torch.randn(6, 3), torch.randint(0, 4, (6, 3)).float() + 1
    loss = VoteDivergence()
    whole = loss(SequenceClassifierOutput(logits=logits), labels)
    parts = [
        loss(SequenceClassifierOutput(logits=logits[rows]), labels[rows], 18) for rows in (slice(0, 4), slice(4, 6))
    ]
    assert sum(parts).item() == pytest.approx(whole.item(), rel=1e-5)
