"""From mini-batches to a trained checkpoint."""
