"""The recipes as functions with typed arguments."""
