"""Publish a checkpoint with its evidence as a repository on the Hub."""

from ser_hf.publishing.answers import write_answers
from ser_hf.publishing.card import render_card
from ser_hf.publishing.examples import write_examples
from ser_hf.publishing.hub import publish, publishable_files

__all__ = ["publish", "publishable_files", "render_card", "write_answers", "write_examples"]
