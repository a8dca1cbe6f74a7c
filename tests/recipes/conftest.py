"""Fixtures that run the recipes on toy corpora with tiny models."""

import runpy
from pathlib import Path

import numpy as np
import pandas
import pytest
import soundfile
from architectures import feature_extractor, tiny_model
from stock_pipeline import fresh_process, pipeline_in_this_process  # noqa: F401

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "finetune.py"


@pytest.fixture(scope="session")
def encoders(tmp_path_factory):
    root = tmp_path_factory.mktemp("encoders")
    for name in ("hubert-group", "whisper"):
        tiny_model(name).save_pretrained(root / name)
        feature_extractor(name).save_pretrained(root / name)
    return root


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


@pytest.fixture(scope="session")
def annotated_table(tmp_path_factory):
    """48 tones of 6 speakers: votes of five annotators and ratings from 1 to 5 follow the pitch."""
    root = tmp_path_factory.mktemp("rated")
    rows = []
    for i in range(48):
        pitch, name = 150 + 60 * (i % 8), f"s{i % 6}_{i}.wav"
        times = np.arange(8000) / 16000
        soundfile.write(root / name, 0.3 * np.sin(2 * np.pi * pitch * times), 16000)
        happy = min(5, (i % 8) * 5 // 7)
        emotion = "happy" if happy > 2 else "sad"
        rows.append([name, emotion, f"s{i % 6}", happy, 5 - happy, 1 + 4 * (i % 8) / 7, 5 - 4 * (i % 8) / 7])
    columns = ["path", "emotion", "speaker", "votes_happy", "votes_sad", "arousal", "valence"]
    pandas.DataFrame(rows, columns=columns).to_csv(root / "rated.csv", index=False)
    return root / "rated.csv"
