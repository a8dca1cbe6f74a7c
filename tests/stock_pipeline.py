"""The stock pipeline in the tests' own process, for runs of which the fresh process of 5 s is not what is tested."""

from pathlib import Path

import pytest
from transformers import pipeline

from ser_hf.publishing.bare_pipeline import decode


def run_here(folder, utterances):
    """Return what `run_pipeline` does: the scores of each utterance by label, and no error."""
    code = any(Path(folder).glob("*.py"))
    options = {"device": "cpu", "dtype": "float32", "trust_remote_code": code}
    classifier = pipeline("audio-classification", model=str(folder), **options)
    answers = [classifier(decode(*utterance), top_k=None) for utterance in utterances]
    return [{answer["label"]: answer["score"] for answer in answer} for answer in answers], None


@pytest.fixture(autouse=True)
def pipeline_in_this_process(request, monkeypatch):
    """Spare a test the fresh process of the stock pipeline, but for tests that ask for `fresh_process`."""
    if "fresh_process" not in request.fixturenames:
        monkeypatch.setattr("ser_hf.publishing.agreement.run_pipeline", run_here)
        monkeypatch.setattr("ser_hf.publishing.answers.run_pipeline", run_here)


@pytest.fixture
def fresh_process():
    """Score files in a fresh process, as outside of the tests."""
