"""Score checkpoints on corpora."""
