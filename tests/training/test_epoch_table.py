"""The lines that a training prints."""

from types import SimpleNamespace

import pytest

from ser_hf.training import epoch_table
from ser_hf.training.epoch_table import EpochTable

FIRST = "epoch     loss  validation loss          validation UA  time left\n"


@pytest.fixture
def table(monkeypatch):
    seconds = iter([0, 60, 120, 180])
    monkeypatch.setattr(epoch_table.time, "monotonic", lambda: next(seconds))
    return EpochTable("ua", "UA")


def train(table, evaluations, *, metric="ua", greater=True):
    args = SimpleNamespace(disable_tqdm=True, metric_for_best_model=metric, greater_is_better=greater)
    state = SimpleNamespace(is_world_process_zero=True, max_steps=20, global_step=0, epoch=0, log_history=[])
    table.on_train_begin(args, state, None)
    for epoch, (loss, validation, ua) in enumerate(evaluations, 1):
        state.global_step, state.epoch = 5 * epoch, epoch
        for logs in ({"loss": loss, "grad_norm": 1.0}, {"eval_loss": validation, "eval_ua": ua, "eval_runtime": 1.0}):
            state.log_history.append(logs)
            table.on_log(args, state, None, logs)
    table.on_train_end(args, state, None)


def test_an_epoch_is_one_line_with_its_best_score_marked(table, capsys):
    train(table, [(1.9, 1.8, 0.25), (1.5, 1.6, 0.5), (1.2, 1.7, 0.375)])
    assert capsys.readouterr().err == FIRST + (
        "    1    1.900            1.800             best 0.250      3 min\n"
        "    2    1.500            1.600             best 0.500      2 min\n"
        "    3    1.200            1.700                  0.375       60 s\n"
    )


def test_the_best_epoch_is_that_of_the_metric_of_the_recipe(table, capsys):
    train(table, [(1.9, 1.8, 0.25), (1.5, 1.9, 0.5)], metric="loss", greater=False)
    assert [line.split()[3] for line in capsys.readouterr().err.splitlines()[1:]] == ["best", "0.500"]


def test_a_line_fits_into_80_columns(table, capsys):
    train(table, [(1.9, 1.8, 0.25)])
    assert max(map(len, capsys.readouterr().err.splitlines())) <= 79
