"""What the tests of all figures look at."""

from pathlib import Path

import matplotlib.figure
import pytest


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Collect the figures that are saved, to look at what is drawn."""
    collected = []

    def collect(figure, path, **options):
        Path(path).touch()
        collected.append(figure)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", collect)
    return collected
