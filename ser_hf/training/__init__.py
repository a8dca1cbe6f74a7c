"""Batches -> a trained checkpoint and its evidence."""

from ser_hf.runs.command_line import parse_recipe
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.recipe import check_folder, claim_folder, resolve_recipe
from ser_hf.runs.training_arguments import ModelArguments, SerTrainingArguments
from ser_hf.training.trainer import SerTrainer, last_checkpoint

__all__ = [
    "DataArguments",
    "ModelArguments",
    "SerTrainer",
    "SerTrainingArguments",
    "check_folder",
    "claim_folder",
    "last_checkpoint",
    "parse_recipe",
    "resolve_recipe",
]
