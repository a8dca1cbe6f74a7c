"""What a run is called in figures."""

import shutil
from pathlib import Path

import pytest

from ser_hf.models import MelConfig
from ser_hf.runs.results import read_results
from ser_hf.scoring.run_titles import MEL_DEFAULTS, name_encoder, title_run

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "ravdess_mel_crnn"


@pytest.mark.parametrize(
    ("overrides", "title"),
    [
        ([], "log-mel CRNN"),
        (["encoder=crnn", "hidden_size=96"], "log-mel CRNN"),
        (["encoder=cnn"], "log-mel CNN"),
        (["features=mfcc", "encoder=lstm"], "MFCC LSTM"),
    ],
)
def test_a_mel_model_is_called_by_its_features_and_its_encoder(tmp_path, overrides, title):
    folder = tmp_path / "run"
    shutil.copytree(GOLDEN, folder)
    results = read_results(folder)
    results.recipe = results.recipe | {"config_overrides": overrides}
    assert title_run(folder, results) == f"{title}, from random weights"


def test_the_defaults_of_the_title_are_those_of_the_model():
    assert {"features": MelConfig().features, "encoder": MelConfig().encoder} == MEL_DEFAULTS


@pytest.mark.parametrize(
    ("name", "title"),
    [("asapp/sew-tiny-100k", "SEW tiny 100k"), ("../models/whisper-base-encoder", "Whisper base"), ("mine", "mine")],
)
def test_an_encoder_is_called_by_its_kind(name, title):
    assert name_encoder(name) == title
