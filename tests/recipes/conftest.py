"""Fixtures that run the recipes on toy corpora with tiny models."""

import runpy
from pathlib import Path

import pytest
from architectures import feature_extractor, tiny_model
from stock_pipeline import run_here

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "finetune.py"


@pytest.fixture(scope="session")
def encoders(tmp_path_factory):
    root = tmp_path_factory.mktemp("encoders")
    for name in ("hubert-group", "whisper"):
        tiny_model(name).save_pretrained(root / name)
        feature_extractor(name).save_pretrained(root / name)
    return root


@pytest.fixture(autouse=True)
def agreement_in_this_process(request, monkeypatch):
    """Spare the runs of this process the fresh process at their end, but for tests that ask for it."""
    if "fresh_process" not in request.fixturenames:
        monkeypatch.setattr("ser_hf.publishing.agreement.run_pipeline", run_here)


@pytest.fixture
def fresh_process():
    """Have a run compare its scores in a fresh process, as it does outside of the tests."""


@pytest.fixture
def finetune(tmp_path, toy_ravdess, encoders):
    """Run the recipe in this process: ``finetune("--key", "value", …)`` returns the output folder."""
    main = runpy.run_path(str(RECIPE))["main"]

    def run(*argv, encoder="whisper", corpus="ravdess", data_root=toy_ravdess, output_dir=tmp_path / "out"):
        roots = data_root if isinstance(data_root, list) else [data_root]
        main([
            "--corpus", *corpus.split(), "--data_root", *map(str, roots),
            "--model_name_or_path", str(encoders / encoder),
            "--output_dir", str(output_dir), "--use_cpu", "true", "--num_train_epochs", "1", "--seed", "3",
            "--per_device_train_batch_size", "8", "--dataloader_num_workers", "0", *argv,
        ])  # fmt: skip
        return output_dir

    return run
