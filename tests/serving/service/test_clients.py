"""The clients of the guide, as they stand, against a service with a token."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from served import serve

from ser_hf.serving.service.application import build_service

CLIENTS = Path(__file__).parents[3] / "docs" / "guide" / "clients"
TOKEN = "0123456789abcdef"
COMMANDS = {"predict.py": sys.executable, "predict.mjs": "node", "predict.sh": "sh", "stream.py": sys.executable}


@pytest.fixture
def run(classifier, speak, tmp_path):
    """Run a client with a recording, and return the finished process."""
    soundfile.write(tmp_path / "talk.wav", speak(("sad", 1.0)), 16_000, subtype="PCM_16")

    def run_client(name, token=TOKEN):
        for program in [COMMANDS[name], *(["curl"] if name == "predict.sh" else [])]:
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not installed")
        variables = os.environ | {"SER_HF_ADDRESS": address, "SER_HF_TOKEN": token}
        command = [COMMANDS[name], CLIENTS / name, tmp_path / "talk.wav"]
        return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)

    with serve(build_service(classifier, token=TOKEN)) as address:
        yield run_client


@pytest.mark.parametrize("name", COMMANDS)
def test_a_client_prints_the_emotion(name, run):
    finished = run(name)
    assert finished.returncode == 0, finished.stderr
    assert "sad" in finished.stdout
    assert ("final" in finished.stdout) == (name == "stream.py")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_client_fails_without_the_token(name, run):
    finished = run(name, token="wrong")
    assert finished.returncode != 0
    assert "sad" not in finished.stdout


def test_every_client_is_run():
    assert {path.name for path in CLIENTS.iterdir()} == set(COMMANDS)


@pytest.mark.parametrize("name", ["predict.py", "predict.mjs", "predict.sh"])
def test_clients_of_recordings_have_about_ten_lines(name):
    lines = (CLIENTS / name).read_text(encoding="utf-8").splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 13
