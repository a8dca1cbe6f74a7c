"""All heads, fitted on small data."""

import pytest
from heads.blobs import LABELS, SPEAKERS, TRAIN
from sklearn.base import clone

from ser_hf.heads.classifiers import HEADS
from ser_hf.heads.head_fitting import fit_head


@pytest.fixture(scope="module")
def small_forests():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("random_forest", "extra_trees"):
            patch.setitem(HEADS, name, clone(HEADS[name]).set_params(n_estimators=60))
        yield


@pytest.fixture(scope="module")
def fitted(small_forests):
    return {name: fit_head(name, TRAIN, LABELS, SPEAKERS) for name in HEADS}
