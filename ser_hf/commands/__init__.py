"""The commands of `ser-hf`, by theme: each takes its arguments as a list and returns the exit code."""
