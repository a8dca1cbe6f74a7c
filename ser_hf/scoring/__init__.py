"""A checkpoint and a corpus -> results."""
