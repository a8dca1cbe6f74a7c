"""Define the commands of `ser-hf`: each function takes a list of arguments and returns the exit code.

A command imports slow libraries only after parsing its options, so that ``--help`` does not import torch.
"""
