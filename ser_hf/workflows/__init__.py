"""The whole of a recipe as one function with typed arguments."""
