"""Batches -> a trained checkpoint and its evidence."""

from ser_hf.training.arguments import DataArguments, ModelArguments, SerTrainingArguments, parse_recipe
from ser_hf.training.recipe import claim_folder, resolve_recipe
from ser_hf.training.results import read_results, tabulate_predictions, write_results
from ser_hf.training.trainer import SerTrainer, last_checkpoint

__all__ = [
    "DataArguments",
    "ModelArguments",
    "SerTrainer",
    "SerTrainingArguments",
    "claim_folder",
    "last_checkpoint",
    "parse_recipe",
    "read_results",
    "resolve_recipe",
    "tabulate_predictions",
    "write_results",
]
