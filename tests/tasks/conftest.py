"""Runs of a task score files with the stock pipeline of the tests' process."""

from stock_pipeline import fresh_process, pipeline_in_this_process  # noqa: F401
