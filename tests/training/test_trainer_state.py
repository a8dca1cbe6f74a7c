from types import SimpleNamespace

import pytest

from ser_hf.training.trainer_state import best_evaluation, last_checkpoint

NAN = float("nan")


def test_a_checkpoint_whose_state_is_cut_or_missing_is_passed_over(tmp_path):
    for step, state in ((4, '{"epoch": 1}'), (8, '{"epoch": 2, "log_hist'), (12, "")):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    (tmp_path / "checkpoint-16").mkdir()
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-4")


def trainer(metric, best, losses, uas, *, epoch=None):
    """Return what `best_evaluation` reads of a Trainer, with a training loss between the evaluations."""
    history = [{"epoch": 0.5, "loss": 1.0}]
    for i, (loss, ua) in enumerate(zip(losses, uas, strict=True), 1):
        history += [{"epoch": float(i), "eval_loss": loss, "eval_ua": ua}, {"epoch": i + 0.5, "loss": 1.0}]
    state = SimpleNamespace(log_history=history, best_metric=best, epoch=epoch)
    return SimpleNamespace(state=state, args=SimpleNamespace(metric_for_best_model=metric))


@pytest.mark.parametrize(
    ("metric", "best", "losses", "uas", "expected"),
    [
        ("ua", 0.7, [0.9, 0.8, 0.5], [0.6, 0.7, 0.7], (2.0, 0.7)),  # the first of two equal ones, as in the Trainer
        ("loss", 0.5, [0.9, 0.8, 0.5], [0.6, 0.7, 0.4], (3.0, 0.4)),
        ("loss", 0.8, [NAN, 0.8, 0.9], [0.2, 0.4, 0.3], (2.0, 0.4)),
        ("loss", float("inf"), [NAN, NAN], [0.2, 0.3], (2.0, 0.3)),
    ],
)
def test_the_best_evaluation_is_that_of_the_metric_which_chooses_the_epoch(metric, best, losses, uas, expected):
    found = best_evaluation(trainer(metric, best, losses, uas))
    assert (found["epoch"], found["eval_ua"]) == expected


@pytest.mark.parametrize(("epoch", "expected"), [(None, 0), (3.0, 3.0)])
def test_without_an_evaluation_it_is_the_last_epoch(epoch, expected):
    assert best_evaluation(trainer("ua", None, [], [], epoch=epoch)) == {"epoch": expected}
