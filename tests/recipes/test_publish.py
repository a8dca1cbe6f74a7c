"""From a folder of speech to an answer of a downloaded model, over HTTP: nothing of the client is replaced."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from huggingface_hub import ModelCard
from publishing.hub_server import TOKEN, serve

from ser_hf.publishing.answers import reference_waveforms

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
STAYS = {"predictions.csv", "training_args.bin", "audio_problems.csv", "audit.json", "data.sha256"}
ANSWER = """
import json, sys
import numpy as np
from transformers import pipeline
classifier = pipeline("audio-classification", model="someone/tiny")
waveforms = np.load(sys.argv[1])
answers = [classifier(waveforms[name], top_k=None) for name in waveforms]
print(json.dumps([{answer["label"]: answer["score"] for answer in utterance} for utterance in answers]))
assert "ser_hf" not in sys.modules
"""


@pytest.fixture
def hub(tmp_path):
    """A loopback Hub, and the environment in which everybody takes it for the real one."""
    with serve() as hub:
        hub.environment = os.environ | {
            "HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0",
        }  # fmt: skip
        yield hub


def run(command, environment):
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_a_model_is_trained_published_and_answers_alike_where_it_is_downloaded(hub, encoders, tmp_path):
    out = tmp_path / "out"
    printed = run(
        [
            sys.executable, "-m", "accelerate.commands.launch", "--cpu", str(RECIPES / "finetune.py"),
            "--corpus", "synthetic", "--model_name_or_path", str(encoders / "whisper"), "--output_dir", str(out),
            "--num_train_epochs", "1", "--push_to_hub", "true", "--hub_model_id", "someone/tiny",
        ],
        hub.environment,
    )  # fmt: skip
    held = hub.repositories["someone/tiny"]
    assert f"{hub.url}/someone/tiny/commit/" in printed.stderr
    assert held.private
    assert not [name for name in held.files if name in STAYS or name.startswith("checkpoint-")]
    assert (out / "predictions.csv").exists()
    widget = ModelCard(held.files["README.md"].decode()).data.widget
    assert [example["example_title"] for example in widget] == ["synthetic angry", "synthetic happy", "synthetic sad"]
    assert all(soundfile.info(io.BytesIO(held.files[example["src"]])).samplerate == 16_000 for example in widget)

    np.savez(tmp_path / "waveforms.npz", *reference_waveforms(16_000))
    answers = json.loads(run([sys.executable, "-c", ANSWER, str(tmp_path / "waveforms.npz")], hub.environment).stdout)
    stored = json.loads(held.files["answers.json"])["scores"]
    assert len(answers) == 3
    for answer, scores in zip(answers, stored, strict=True):
        assert answer == pytest.approx(scores, abs=1e-6)
