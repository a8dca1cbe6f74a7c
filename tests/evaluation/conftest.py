"""What the tests of all figures look at."""

import matplotlib.figure
import pytest


@pytest.fixture
def drawn(monkeypatch):
    """Collect the figures that are saved, to look at what is drawn."""
    collected = []
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", lambda figure, *_, **__: collected.append(figure))
    return collected
