"""The lines that a training prints."""

import re
from types import SimpleNamespace

import pytest
from architectures import tiny_model
from transformers.utils import logging

from ser_hf.training import epoch_table
from ser_hf.training.epoch_table import EpochTable, print_epochs

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


def test_no_bar_stays_on_the_screen(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(logging, "_tqdm_hook", None)
    callbacks = []
    print_epochs(SimpleNamespace(pop_callback=lambda kind: kind, add_callback=callbacks.append), "ua", "UA")
    (table,) = callbacks
    args = SimpleNamespace(disable_tqdm=False)
    state = SimpleNamespace(is_world_process_zero=True, max_steps=1, global_step=0)
    table.on_train_begin(args, state, None)
    state.global_step = 1
    table.on_step_end(args, state, None)
    for after in (table.on_train_end, None):  # an evaluation during the training, and one after it
        table.on_prediction_step(args, state, None, eval_dataloader=[0])
        table.on_evaluate(args, state, None)
        if after:
            after(args, state, None)
    tiny_model("whisper").save_pretrained(tmp_path)
    printed = capsys.readouterr().err
    names = ("Training", "Scoring", "Writing model shards")
    assert [name for name in names if f"{name}:   0%" not in printed] == []
    assert show_screen(printed) == FIRST.rstrip()


def show_screen(printed):
    """Return what a terminal shows after this output."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[A|\n|\r|[^\x1b\n\r]+", printed):
        if part == "\x1b[A":
            row -= 1
        elif part == "\n":
            row, column = row + 1, 0
            lines += [""] * (row == len(lines))
        elif part == "\r":
            column = 0
        else:
            line = lines[row].ljust(column)
            lines[row], column = line[:column] + part + line[column + len(part) :], column + len(part)
    return "\n".join(line.rstrip() for line in lines).rstrip()
