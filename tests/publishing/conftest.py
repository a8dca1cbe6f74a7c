"""A finished run in small: what the gate passes, for tests to copy and break."""

import base64
import json
import shutil

import pandas
import pytest
import soundfile
import yaml
from architectures import feature_extractor, tiny_model
from huggingface_hub import constants
from publishing.hub_server import serve
from publishing.rendered_cards import GOLDEN, stored
from stock_pipeline import fresh_process, pipeline_in_this_process  # noqa: F401
from transformers import pipeline

from ser_hf.evaluation import write_predictions
from ser_hf.publishing import render_card
from ser_hf.publishing.agreement import hash_files
from ser_hf.publishing.answers import write_answers
from ser_hf.runs.results import read_results

FOLD = GOLDEN / "ravdess_whisper_tiny_fold_1"
AT_HOME = ("training_args.bin", "checkpoint-9/optimizer.pt")
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")


def write_run(folder, root):
    """Make a checkpoint a run: predictions.csv of actor 6 by the stock pipeline, and the comparison that confirms it.

    Returns the results as read back from all_results.json. The comparison is written as `measure_agreement` would,
    without its fresh process; test_agreement.py shows that both are the same.
    """
    classifier = pipeline("audio-classification", model=str(folder), device="cpu", dtype="float32")
    rows = []
    for path in sorted(root.glob("Actor_06/*.wav")):
        waveform, _ = soundfile.read(path, dtype="float32")  # 16 kHz, mono
        scores = {f"score_{answer['label']}": answer["score"] for answer in classifier(waveform, top_k=None)}
        row = {"path": path.relative_to(root).as_posix(), "start": None, "end": None, "corpus": "ravdess"}
        row |= {"speaker": "06", "gender": "female", "split": "test", "target": "sad"}
        row |= {"prediction": max(scores, key=scores.get).removeprefix("score_")} | dict(sorted(scores.items()))
        rows.append(row)
    rows.append(rows[0] | {"path": "Actor_05/gone.wav", "split": "validation"})  # not compared
    write_predictions(pandas.DataFrame(rows), folder / "predictions.csv")
    agreement = {"test": 8, "compared": 8, "agree": 8, "largest_difference": 0.0, "tolerance": 1e-4, "error": None}
    results = json.loads((FOLD / "all_results.json").read_text()) | {
        "agreement": agreement | {"files": hash_files(folder)}
    }
    (folder / "all_results.json").write_text(json.dumps(results))
    return results


@pytest.fixture(scope="session")
def published_folder(tmp_path_factory, toy_ravdess):
    """The output folder of a finished run: a tiny wav2vec2, with what a push takes and what it leaves at home."""
    folder = tmp_path_factory.mktemp("finished") / "tiny"
    emotions = json.loads((FOLD / "all_results.json").read_text())["outputs"]
    tiny_model("wav2vec2-layer", emotions=emotions).save_pretrained(folder)
    feature_extractor("wav2vec2-layer").save_pretrained(folder)
    shutil.copy(FOLD / "recipe.yaml", folder)
    write_run(folder, toy_ravdess)
    for name in (*AT_HOME, "figures/confusion.png", "figures/speakers.png", "figures/curves.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(PIXEL if name.endswith("png") else b"stays at home")
    write_answers(folder)
    render_card(folder, read_results(folder), repo_id="someone/tiny").save(folder / "README.md")
    return folder


@pytest.fixture
def hub(monkeypatch):
    """A stand-in for the Hub on this machine, which the client talks to."""
    with serve() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        yield hub


@pytest.fixture
def results():
    """The stored run's, without what older versions did not store."""
    results = stored(FOLD)
    del results["calibration"], results["split"]["digest"], results["test"]["per_gender"]
    del results["audit"]["overlapping_audio"]
    return results


@pytest.fixture
def finished(tmp_path, results):
    """A folder with a recipe and a config like the stored run's, but for what is given; and the stored results."""

    def write(recipe=None, config=None, changed=None):
        kept = yaml.safe_load((FOLD / "recipe.yaml").read_text())
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(kept | (recipe or {})))
        (tmp_path / "config.json").write_text(
            json.dumps({"model_type": "whisper", "max_source_positions": 300} | (config or {}))
        )
        return tmp_path, results | (changed or {})

    return write
