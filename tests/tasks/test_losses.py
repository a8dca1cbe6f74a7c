import numpy as np
import pytest
import torch
from torch.nn import functional

from ser_hf.tasks.losses import CrossEntropy, balanced_weights, effective_weights, prior_logits

LOGITS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 0, 0, 1, 1, 2])


def test_without_weights_it_is_the_stock_loss():
    assert CrossEntropy()({"logits": LOGITS}, LABELS) == pytest.approx(functional.cross_entropy(LOGITS, LABELS).item())


def test_balanced_weights_average_to_one_and_balance_the_emotions():
    weights = balanced_weights(LABELS.tolist(), 3)
    assert weights[LABELS].mean() == pytest.approx(1)
    totals = [weights[LABELS][label == LABELS].sum() for label in range(3)]
    assert totals == pytest.approx([2, 2, 2])


@pytest.mark.parametrize("parts", [2, 3, 6])
def test_the_loss_is_the_same_however_the_batch_is_shared(parts):
    loss = CrossEntropy(balanced_weights(LABELS.tolist(), 3), label_smoothing=0.1)
    whole = loss({"logits": LOGITS}, LABELS)
    shares = zip(LOGITS.chunk(parts), LABELS.chunk(parts), strict=True)
    total = sum(loss({"logits": logits}, labels, num_items_in_batch=6) for logits, labels in shares)
    assert total == pytest.approx(whole.item(), rel=1e-6)


def test_half_precision_logits_are_summed_in_float32():
    assert CrossEntropy()({"logits": LOGITS.bfloat16()}, LABELS).dtype == torch.float32


def test_shares_of_one_class_are_labels_and_blends_lie_between():
    loss = CrossEntropy(balanced_weights(LABELS.tolist(), 3))
    shares = functional.one_hot(LABELS, 3).float()
    assert loss({"logits": LOGITS}, shares).item() == pytest.approx(loss({"logits": LOGITS}, LABELS).item())
    counted = loss({"logits": LOGITS}, shares, num_items_in_batch=shares.numel())  # as the Trainer counts
    assert counted.item() == pytest.approx(loss({"logits": LOGITS}, LABELS).item())
    half = (shares + shares[[5, 4, 3, 2, 1, 0]]) / 2
    other = loss({"logits": LOGITS}, LABELS[[5, 4, 3, 2, 1, 0]])
    assert loss({"logits": LOGITS}, half).item() == pytest.approx((loss({"logits": LOGITS}, LABELS) + other).item() / 2)


def test_effective_weights_of_small_classes_are_balanced_and_those_of_large_ones_are_equal():
    small = effective_weights([0] * 3 + [1], 2)
    assert (small[1] / small[0]).item() == pytest.approx(3, rel=2e-3)
    large = effective_weights([0] * 90_000 + [1] * 30_000, 2)
    assert large.tolist() == pytest.approx([1, 1], abs=1e-4)


def test_the_focal_loss_is_the_cross_entropy_times_a_power_of_the_missed_probability():
    logits = torch.tensor([[0.0, np.log(3.0)]], dtype=torch.float32)  # probabilities 1/4 and 3/4
    assert CrossEntropy(focal_gamma=2)({"logits": logits}, torch.tensor([0])).item() == pytest.approx(
        0.5625 * np.log(4)
    )
    weighted = CrossEntropy(torch.tensor([1.0, 2.0]), focal_gamma=1)
    assert weighted({"logits": logits}, torch.tensor([1])).item() == pytest.approx(2 * 0.25 * np.log(4 / 3))


def test_a_tiny_exponent_gives_the_cross_entropy_with_weights_smoothing_and_mixed_labels():
    options = {"weights": balanced_weights(LABELS.tolist(), 3), "label_smoothing": 0.1}
    mixed = (functional.one_hot(LABELS, 3) + functional.one_hot(LABELS.flip(0), 3)) / 2
    for labels in (LABELS, mixed):
        focal = CrossEntropy(**options, focal_gamma=1e-9)({"logits": LOGITS}, labels)
        assert focal.item() == pytest.approx(CrossEntropy(**options)({"logits": LOGITS}, labels).item())


def test_the_focal_loss_of_a_certain_answer_has_a_finite_gradient():
    logits = torch.tensor([[200.0, 0.0]], requires_grad=True)
    CrossEntropy(focal_gamma=0.5)({"logits": logits}, torch.tensor([0])).backward()
    assert logits.grad.isfinite().all()


def test_the_adjustment_acts_in_training_only_and_its_optimum_is_the_balanced_answer():
    adjusted = CrossEntropy(adjustment=prior_logits([0, 0, 0, 1], 2, 1.0))
    equal, labels = torch.zeros(4, 2, requires_grad=True), torch.tensor([0, 0, 0, 1])
    adjusted({"logits": equal}, labels).backward()
    assert equal.grad.sum(0).tolist() == pytest.approx([0, 0], abs=1e-6)
    with torch.no_grad():
        assert adjusted({"logits": equal}, labels).item() == pytest.approx(np.log(2))
    assert prior_logits([0, 1], 2, 0.0) is None
