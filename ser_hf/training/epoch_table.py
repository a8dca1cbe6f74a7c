"""Print one line per epoch during a training, instead of the dictionaries that the stock Trainer prints."""

import sys
import time
from typing import Any

from tqdm import tqdm
from transformers import Trainer, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from transformers.trainer_utils import has_length
from transformers.utils.logging import set_tqdm_hook

WIDTHS = (5, 7, 15, 21, 9)  # of the columns


def print_epochs(trainer: Trainer, name: str, title: str) -> None:
    """Replace the messages of a trainer by an `EpochTable`, except in a notebook, which has a table of its own."""
    set_tqdm_hook(lambda bar, args, options: bar(*args, **options | {"leave": False}))  # those of saving and loading
    if trainer.pop_callback(ProgressCallback) or trainer.pop_callback(PrinterCallback):
        trainer.add_callback(EpochTable(name, title))


class EpochTable(ProgressCallback):
    """Print epoch, losses, validation score and time left as a table, below it a bar that goes when it is full.

    Args:
        name: Name of the score in the logs, such as "ua".
        title: Short name of the score, for people.
    """

    def __init__(self, name: str, title: str):
        super().__init__()
        self.key = f"eval_{name}"
        self.heads = ["epoch", "loss", "validation loss", f"validation {title}", "time left"]
        self.loss = ""

    def on_train_begin(self, args, state, control, **kwargs):
        """Print the head of the table."""
        if state.is_world_process_zero:
            hidden: Any = {"disable": True} if args.disable_tqdm else {}  # else the environment: see ser_hf.terminal
            bar = tqdm(desc="Training", total=state.max_steps, leave=False, dynamic_ncols=True, **hidden)
            self.training_bar = bar  # type: ignore[assignment]
            self._print(self.heads)
        self.start, self.first_step, self.current_step = time.monotonic(), state.global_step, 0

    def on_prediction_step(self, args, state, control, eval_dataloader=None, **kwargs):
        """Show the bar of an evaluation, unless bars are disabled."""
        if args.disable_tqdm:
            return
        if self.prediction_bar is None and state.is_world_process_zero and has_length(eval_dataloader):
            bar = tqdm(desc="Scoring", total=len(eval_dataloader), leave=False, dynamic_ncols=True)
            self.prediction_bar = bar  # type: ignore[assignment]
        super().on_prediction_step(args, state, control, eval_dataloader, **kwargs)

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Keep the training loss, and print a line when an epoch has been evaluated."""
        if "loss" in logs:
            self.loss = f"{logs['loss']:.3f}"
        if self.key not in logs or self.training_bar is None:  # a message of another kind, or after the training
            return
        mark = "best " if _is_best(logs, args, state) else ""
        losses = [self.loss, f"{logs['eval_loss']:.3f}"]
        self._print([f"{state.epoch:g}", *losses, f"{mark}{logs[self.key]:.3f}", self._estimate(state)])

    def _estimate(self, state) -> str:
        """Return the time left; nothing before the first step."""
        steps = state.global_step - self.first_step
        seconds = time.monotonic() - self.start
        return spell_duration(seconds / steps * (state.max_steps - state.global_step)) if steps else ""

    def _print(self, cells: list[str]) -> None:
        line = "  ".join(cell.rjust(width) for cell, width in zip(cells, WIDTHS, strict=True))
        tqdm.write(line, file=sys.stderr)


def _is_best(logs: dict[str, float], args: TrainingArguments, state: TrainerState) -> bool:
    """Return whether an evaluation is better than all before, in the metric that selects the best epoch."""
    name, sign = f"eval_{args.metric_for_best_model}", 1 if args.greater_is_better else -1
    return all(sign * logs[name] > sign * log[name] for log in state.log_history[:-1] if name in log)


def spell_duration(seconds: float) -> str:
    """Return a duration as text.

    Examples:
        >>> [spell_duration(seconds) for seconds in (0, 89, 91, 5400)]
        ['0 s', '89 s', '2 min', '90 min']
    """
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
