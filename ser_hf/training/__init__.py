"""Batches -> a trained checkpoint."""
