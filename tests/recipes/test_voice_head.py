"""A run with a head for known voices, the checkpoint of one voice, and the curve over the number of clips."""

import json
import runpy
from pathlib import Path

import pytest

from ser_hf.publishing.upload import publishable_files
from ser_hf.serving import EmotionClassifier

CURVE = Path(__file__).resolve().parents[2] / "recipes" / "adaptation_curve.py"


def test_a_readout_with_a_head_for_known_voices_is_adapted_and_measured(finetune, toy_ravdess, tmp_path, capsys):
    out = finetune("--head_init", "readout", "--num_train_epochs", "0", "--refit", "true", "--voice_head", "true")
    assert "voice.safetensors" in [path.name for path in publishable_files(out)]
    classifier = EmotionClassifier.from_pretrained(out)
    adapted = classifier.adapt(toy_ravdess / "Actor_01")
    assert adapted.checkpoint.model.config.adapted_voice["clips"] == 8
    main = runpy.run_path(str(CURVE))["main"]
    main([str(out), "--data_root", str(toy_ravdess), "--output", str(tmp_path / "curve"), "--draws", "2"])
    curve = json.loads((tmp_path / "curve/adaptation.json").read_text())
    results = json.loads((out / "all_results.json").read_text())
    assert curve["without"] == pytest.approx(results["test"]["ua"])
    assert [point["clips"] for point in curve["points"] if point["mix"] == "as recorded"] == [1, 2, 5, None]
    table = capsys.readouterr().out
    assert f"Without adaptation: UA {100 * curve['without']:.1f}" in table and "| as recorded | 5 |" in table
    assert (tmp_path / "curve/adaptation.png").read_bytes().startswith(b"\x89PNG")


def test_what_a_head_for_known_voices_needs_is_checked_before_the_training(finetune, tmp_path, write_audio):
    for i, speaker in enumerate("abc"):
        for emotion, frequency in (("angry", 300), ("sad", 150)):
            write_audio(tmp_path / "data" / emotion / f"{speaker}_1.wav", frequency=frequency + 10 * i)
    few = {"corpus": "folder", "data_root": tmp_path / "data"}
    with pytest.raises(ValueError, match="voice_head: expected at least 4 training speakers .*found 1 speaker,"):
        finetune("--speaker_pattern", "^([^_]+)_", "--voice_head", "true", **few)
    with pytest.raises(ValueError, match="voice_head: the task 'dimensions' has no such option"):
        finetune("--task", "dimensions", "--voice_head", "true", **few)
    with pytest.raises(FileNotFoundError, match="has no predictions.csv: expected a run of finetune"):
        runpy.run_path(str(CURVE))["main"]([str(tmp_path), "--data_root", "x", "--output", str(tmp_path / "curve")])
