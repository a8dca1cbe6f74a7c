import pytest
import torch
from torch.nn import functional

from ser_hf.tasks.losses import CrossEntropy, balanced_weights

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
