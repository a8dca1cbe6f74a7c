"""An auxiliary task in training: its loss, and the rows that the head has in training only."""

import numpy as np
import pytest
import torch
from architectures import tiny_model
from transformers.modeling_outputs import SequenceClassifierOutput

from ser_hf.tasks.losses import CrossEntropy, VoteDivergence
from ser_hf.training.auxiliary import AuxiliaryLoss, narrow_head, widen_head

RATINGS = np.array([[0.0, np.nan], [0.6, 0.2], [0.6, 0.8]])  # means 0.4 and 0.5, variances 0.08 and 0.09


def outputs(logits):
    return SequenceClassifierOutput(logits=torch.as_tensor(logits))


def test_the_loss_is_that_of_the_task_plus_the_weighted_error_of_the_ratings():
    loss = AuxiliaryLoss(CrossEntropy(), RATINGS, 2, 1, 0.5)
    logits, labels = [[0.0, 0.0, 0.0, 1.0]], torch.tensor([[1.0, 0.6, 0.2]])
    error = (0.2**2 / 0.08 + (1 + 1) ** 2) / 2  # the second rating is one deviation below its mean
    assert loss(outputs(logits), labels).item() == pytest.approx(np.log(2) + 0.5 * error)


def test_a_constant_prediction_has_an_error_of_one():
    loss = AuxiliaryLoss(lambda *_: 0.0, np.array([[0.2, 0.2], [0.6, 0.8]]), 1, 1, 1.0)
    labels = torch.tensor([[0.0, 0.2, 0.2], [0.0, 0.6, 0.8]])
    assert loss(outputs([[9.0, 0.0, 0.0]] * 2), labels).item() == pytest.approx(1)


def test_a_missing_rating_adds_nothing_to_loss_and_gradient():
    loss = AuxiliaryLoss(lambda *_: 0.0, RATINGS, 1, 1, 1.0)
    logits = torch.tensor([[0.0, 0.3, 1.0]], requires_grad=True)
    value = loss(outputs(logits), torch.tensor([[0.0, torch.nan, 0.8]]))
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6) and logits.grad[0, 1] == 0


def test_validation_labels_have_no_ratings():
    loss = AuxiliaryLoss(VoteDivergence(), RATINGS, 2, 2, 0.5)
    assert loss(outputs([[0.0, 0.0, 9.0, 9.0]]), torch.tensor([[3.0, 1.0]])).item() == pytest.approx(0.1308, abs=1e-4)


@pytest.mark.parametrize(("main", "columns"), [(CrossEntropy(), 1), (VoteDivergence(), 3)])
def test_the_losses_of_the_parts_of_a_step_add_up(main, columns):
    torch.manual_seed(0)
    logits, ratings = torch.randn(8, 5), torch.rand(8, 2)
    ratings[0, 1] = torch.nan
    own = torch.randint(0, 3, (8, 1)).float() if columns == 1 else torch.randint(1, 4, (8, 3)).float()
    labels = torch.cat([own, ratings], 1)
    loss = AuxiliaryLoss(main, RATINGS, 3, columns, 2.0)
    whole = loss(outputs(logits), labels)
    parts = [loss(outputs(logits[rows]), labels[rows], labels.numel()) for rows in (slice(0, 5), slice(5, 8))]
    assert sum(parts).item() == pytest.approx(whole.item(), rel=1e-5)


def test_a_head_that_is_widened_and_narrowed_again_is_the_same():
    model = tiny_model("wav2vec2-layer")
    waveform = torch.randn(1, 8000)
    before = model(waveform).logits
    state = torch.random.get_rng_state()
    widen_head(model, 2)
    assert torch.equal(torch.random.get_rng_state(), state)
    wide = model(waveform).logits
    torch.testing.assert_close(wide[:, :4], before)
    loss = AuxiliaryLoss(VoteDivergence(), RATINGS, 4, 4, 1.0)
    head = narrow_head(model, loss)
    assert torch.equal(model(waveform).logits, before)
    model.classifier = head
    ratings = torch.tensor([0.4, 0.5]) + torch.tensor([0.08, 0.09]).sqrt() * wide[:, 4:]
    torch.testing.assert_close(model(waveform).logits, ratings)
    assert narrow_head(model, VoteDivergence()) is None


def test_a_head_that_does_not_end_in_a_linear_layer_is_an_error():
    with pytest.raises(ValueError, match="auxiliary_task: expected a linear last layer, found ASTMLPHead"):
        widen_head(tiny_model("audio-spectrogram-transformer"), 2)
