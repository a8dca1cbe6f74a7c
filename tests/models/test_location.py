"""A missing model is one sentence, without torch."""

import subprocess
import sys

import httpx2
import pytest
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import RepositoryNotFoundError

from ser_hf.models.location import check_location


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in a folder with runs/whisper_tiny; the cache of the Hub has the model org/known."""
    (tmp_path / "runs" / "whisper_tiny").mkdir(parents=True)
    (tmp_path / "hub" / "models--org--known").mkdir(parents=True)
    for name in ("model.safetensors", "a.wav"):
        (tmp_path / name).touch()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)


def answer(status):
    return httpx2.Response(status, request=httpx2.Request("GET", "https://hub"))


def fail_with(error, monkeypatch):
    def model_info(*_, **__):
        raise error

    monkeypatch.setattr(HfApi, "model_info", model_info)


@pytest.mark.parametrize("name", ["runs/whisper_tiny", "runs/whisper_tiny/", "org/known"])
def test_folders_and_models_in_the_cache_are_found(name, monkeypatch):
    fail_with(AssertionError("the Hub is not asked"), monkeypatch)
    check_location(name)


@pytest.mark.parametrize("name", ["./nothing", "/nothing", "a/b/c", "runs\\nothing", "~/nothing", "../x"])
def test_what_cannot_be_an_id_is_no_folder_and_the_hub_is_not_asked(name, monkeypatch):
    fail_with(AssertionError("the Hub is not asked"), monkeypatch)
    with pytest.raises(FileNotFoundError, match=r"No folder '.*' here: expected a model's Hub id or folder\.$"):
        check_location(name)


def test_the_most_similar_folder_is_named():
    with pytest.raises(FileNotFoundError, match="'runs/wisper_tiny' here.* Did you mean 'runs/whisper_tiny'?"):
        check_location("runs/wisper_tiny")


def test_a_file_is_refused():
    with pytest.raises(ValueError, match="found the file 'model.safetensors'. Name its folder"):
        check_location("model.safetensors")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (httpx2.ConnectError("Name or service not known"), "On the Hub: it cannot be reached .Name or service"),
        (httpx2.ConnectTimeout("timed out"), "On the Hub: it cannot be reached .timed out"),
        (RepositoryNotFoundError("404", response=answer(404)), "On the Hub: no model has this name"),
    ],
)
def test_the_state_of_the_hub_is_told(error, message, monkeypatch):
    fail_with(error, monkeypatch)
    with pytest.raises(FileNotFoundError, match=message):
        check_location("org/new")


def test_a_fault_of_the_hub_is_left_to_the_download(monkeypatch):
    fail_with(httpx2.HTTPStatusError("503", request=None, response=answer(503)), monkeypatch)
    check_location("org/new")


@pytest.mark.parametrize(
    "argv",
    [
        ["predict", "a.wav", "--output", "t.csv", "--model", "runs/typo"],
        ["timeline", "a.wav", "--model", "runs/typo"],
        ["demo", "--model", "./typo"],
        ["evaluate", "--corpus", "synthetic", "--output_dir", "out", "--model", "runs/typo"],
        ["doctor", "runs/typo"],
        ["publish", "runs/typo", "user/name"],
        ["export", "runs/typo"],
    ],
    ids=lambda argv: argv[0],
)
def test_commands_say_it_without_torch(argv):
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ser_hf.cli", *argv], capture_output=True, text=True, check=False
    )
    names = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines()}
    (error,) = (line for line in run.stderr.splitlines() if not line.startswith("import time:"))
    assert run.returncode == 2
    assert error.startswith(("error: No folder 'runs/typo' here", "error: No folder 'typo' here"))
    assert {"torch", "transformers"} & names == set()
