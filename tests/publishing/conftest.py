"""A finished run in small: what the gate passes, for tests to copy and break."""

import base64
import json
import shutil
from pathlib import Path

import pytest
from architectures import feature_extractor, tiny_model

from ser_hf.publishing import render_card
from ser_hf.publishing.answers import write_answers

GOLDEN = Path(__file__).parents[1] / "golden" / "ravdess_whisper_tiny_fold_1"
AT_HOME = ("predictions.csv", "training_args.bin", "checkpoint-9/optimizer.pt")
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")


@pytest.fixture(scope="session")
def published_folder(tmp_path_factory):
    """The output folder of a finished run: a tiny wav2vec2, with what a push takes and what it leaves at home."""
    folder = tmp_path_factory.mktemp("finished") / "tiny"
    results = json.loads((GOLDEN / "all_results.json").read_text())
    tiny_model("wav2vec2-layer", emotions=results["emotions"]).save_pretrained(folder)
    feature_extractor("wav2vec2-layer").save_pretrained(folder)
    for name in ("all_results.json", "recipe.yaml"):
        shutil.copy(GOLDEN / name, folder)
    for name in (*AT_HOME, "figures/confusion.png", "figures/speakers.png", "figures/curves.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(PIXEL if name.endswith("png") else b"stays at home")
    write_answers(folder)
    render_card(folder, results, repo_id="someone/tiny").save(folder / "README.md")
    return folder
