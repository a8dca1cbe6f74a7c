"""Run each recipe as one function with typed arguments."""
