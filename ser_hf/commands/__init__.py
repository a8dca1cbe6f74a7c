"""The commands of `ser-hf`, by theme: each takes its arguments as a list and returns the exit code.

A command imports what does its work after it has read its options, so that ``--help`` does not wait for torch.
"""
