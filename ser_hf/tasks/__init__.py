"""What is recognised: a file for each task, with the same few functions."""
