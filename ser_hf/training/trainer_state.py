"""Read the state of a training: the evaluation of its best epoch, and its newest checkpoint."""

import json
from pathlib import Path

from transformers import Trainer
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR


def best_evaluation(trainer: Trainer) -> dict[str, float]:
    """Return the logged evaluation of the best epoch on the validation speakers: "epoch", "eval_loss" and the metrics.

    If the metric is never a number, the last evaluation is returned; without any evaluation, only the epoch.
    """
    state, metric = trainer.state, f"eval_{trainer.args.metric_for_best_model}"
    evaluations = [log for log in state.log_history if metric in log]
    best = [log for log in evaluations if log[metric] == state.best_metric] or evaluations[-1:]
    return best[0] if best else {"epoch": state.epoch or 0}


def last_checkpoint(folder: str | Path) -> str | None:
    """Return the newest checkpoint of a run whose state file is complete, or None."""
    states = filter(_is_json, Path(folder).glob(f"{PREFIX_CHECKPOINT_DIR}-*/{TRAINER_STATE_NAME}"))
    return max((str(state.parent) for state in states), key=lambda name: int(name.rsplit("-", 1)[1]), default=None)


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True
