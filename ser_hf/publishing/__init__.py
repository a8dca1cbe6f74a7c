"""A checkpoint and its evidence -> a repository that others can use."""

from ser_hf.publishing.card import render_card
from ser_hf.publishing.hub import publishable_files, push_to_hub

__all__ = ["publishable_files", "push_to_hub", "render_card"]
