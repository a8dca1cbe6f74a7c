"""Fixtures that write and read tables of labels."""

import pytest

from ser_hf.corpora.table import table


@pytest.fixture
def write_table(tmp_path):
    """Write a text as the table ``labels.csv``, or under another name, and return its path."""

    def write(text, name="labels.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_text(text, encoding=encoding)
        return path

    return write


@pytest.fixture
def read_one():
    """Read the one utterance of a table."""

    def read(path, **options):
        (utterance,) = table(path, **options)
        return utterance

    return read
