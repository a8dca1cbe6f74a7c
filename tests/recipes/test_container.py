"""The Dockerfile and the compose file of the service. No builder is needed: the steps are run in a folder instead."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
import yaml
from architectures import feature_extractor, tiny_model

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "recipes" / "serving"
HOME = "/srv/ser_hf"
PORT = 18_765


def read_steps():
    """Return the instructions of the Dockerfile: names and arguments."""
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [tuple(line.split(" ", 1)) for line in text.splitlines() if line and not line.startswith("#")]


def test_the_container_has_no_root_and_no_name_of_a_token():
    steps = dict(read_steps())
    assert steps["USER"] == "10001:10001"
    assert json.loads(steps["ENTRYPOINT"]) == ["ser-hf", "serve", "--host", "0.0.0.0"]
    assert "SER_HF_TOKEN" not in (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    names = [name for name, _ in read_steps()]
    assert names.index("USER") > max(place for place, name in enumerate(names) if name in ("RUN", "COPY"))


def test_everything_that_is_copied_is_there_and_not_ignored():
    kept = (FOLDER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    sources = [source for name, text in read_steps() if name == "COPY" for source in text.split()[:-1]]
    assert sources
    for source in sources:
        assert (ROOT / source).exists()
        assert f"!{source}" in kept


def test_compose_publishes_the_service_on_this_machine_only():
    service = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))["services"]["emotions"]
    assert service["ports"] == ["127.0.0.1:8000:8000"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert (FOLDER / service["build"]["context"] / service["build"]["dockerfile"]).samefile(FOLDER / "Dockerfile")
    assert "/run/secrets/token" in service["command"]


@pytest.mark.slow
def test_the_steps_run_in_a_clean_folder_and_the_service_answers(tmp_path):
    """Steps run as this user; the service runs as user 10001 if this user may change it and others may run Python."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)  # pytest keeps others out
    home, temporary = tmp_path / "srv", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    temporary.chmod(0o777)
    variables = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    command, check = [], []
    for name, text in read_steps():
        text = re.sub(f"{HOME}|(?<==)/tmp", lambda match: str({HOME: home}.get(match[0], temporary)), text)
        if name == "RUN":
            subprocess.run(["sh", "-c", text], cwd=home, env=variables, check=True)
        elif name == "COPY":
            *sources, target = text.split()
            for source in sources:
                copy(ROOT / source, home / target, into=target.endswith("/"))
        elif name in ("ARG", "ENV"):
            for item in shlex.split(text):
                key, value = item.split("=", 1)
                variables[key] = re.sub(r"\$(\w+)", lambda match: variables[match[1]], value)
        elif name in ("ENTRYPOINT", "CMD"):
            command += json.loads(text)
        elif name == "HEALTHCHECK":
            check = json.loads(text.partition("CMD ")[2].replace(":8000", f":{PORT}"))
        else:
            assert name in ("FROM", "WORKDIR", "USER", "EXPOSE")
    model = tmp_path / "model"
    tiny_model("wav2vec2-layer").save_pretrained(model)
    feature_extractor("wav2vec2-layer").save_pretrained(model)
    (model / "model.safetensors").chmod(0o644)  # safetensors keeps others out
    command = [str(model) if word == "/model" else word for word in command]
    public = all(folder.stat().st_mode & 0o001 for folder in Path(sys.base_prefix).resolve().parents)
    user = {"user": 10_001, "group": 10_001} if os.getuid() == 0 and public else {}
    program = shutil.which(command[0], path=variables["PATH"])
    process = subprocess.Popen([program, *command[1:], "--port", str(PORT)], cwd=home, env=variables, **user)
    try:
        assert subprocess.run(check, env=variables, stderr=subprocess.DEVNULL).returncode == 1  # it does not run yet
        check_service(process, tmp_path, partial(subprocess.run, check, env=variables, check=True))
    finally:
        process.kill()


def check_service(process, folder, check_health):
    address, end = f"http://127.0.0.1:{PORT}", time.monotonic() + 120
    while True:
        try:
            assert httpx.get(f"{address}/health", timeout=60).json() == {"status": "ok"}
            break
        except httpx.ConnectError:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.5)
    check_health()
    soundfile.write(folder / "a.flac", np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    for _ in range(3):
        response = httpx.post(f"{address}/predict?segments=true", content=(folder / "a.flac").read_bytes(), timeout=60)
        assert response.json()["prediction"] in {"angry", "happy", "neutral", "sad"}
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before  # nothing was written
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def copy(source, target, *, into):
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.mkdir(parents=True, exist_ok=True) if into else None
        shutil.copy(source, target)
