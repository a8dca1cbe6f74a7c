"""The Space of a model: its files, its push, and its start in a clean environment."""

import ast
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import venv
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import yaml
from gradio_client import Client, handle_file
from publishing.hub_server import TOKEN

from ser_hf.publishing import space
from ser_hf.publishing.privacy import PATH
from ser_hf.publishing.privacy import TOKEN as TOKENS
from ser_hf.publishing.space import push_space, write_space

ROOT = Path(__file__).parents[2]


COMMIT = "0123456789012345678901234567890123456789"
ORIGIN = {"url": "https://git.example/ser_hf", "vcs_info": {"vcs": "git", "commit_id": COMMIT}}


@pytest.fixture
def written(published_folder, tmp_path, monkeypatch):
    install_from(monkeypatch, ORIGIN)
    folder = shutil.copytree(published_folder, tmp_path / "run")
    return write_space(folder, "someone/tiny")


def test_a_space_has_a_head_that_the_hub_reads_an_app_and_its_requirements(written):
    assert sorted(path.name for path in written.iterdir()) == ["README.md", "app.py", "requirements.txt"]
    _, head, text = (written / "README.md").read_text().split("---\n", 2)
    head = yaml.safe_load(head)
    assert head["sdk"] == "gradio" and head["app_file"] == "app.py" and head["models"] == ["someone/tiny"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", head["sdk_version"]) and re.fullmatch(r"3\.\d+", head["python_version"])
    assert "**Test score:**" in text and "## Out of scope" in text and "(https://huggingface.co/someone/tiny)" in text
    assert text.count("Intended use") == 1
    app = (written / "app.py").read_text()
    ast.parse(app)
    assert 'MODEL = "someone/tiny"' in app and "trust_remote_code" not in app
    requirement = (written / "requirements.txt").read_text()
    assert re.fullmatch(r"ser_hf\[demo,annotations,formats\] @ git\+https://\S+@\w{40}\n", requirement)
    for path in written.iterdir():
        assert not PATH.search(path.read_text()) and not TOKENS.search(path.read_text())


def install_from(monkeypatch, origin):
    installed = SimpleNamespace(version="1.2", read_text=lambda name: json.dumps(origin) if origin else None)
    monkeypatch.setattr(space, "distribution", lambda name: installed)


def test_a_space_installs_the_commit_that_ser_hf_was_installed_from(monkeypatch):
    install_from(monkeypatch, ORIGIN)
    assert space.find_requirement() == f"ser_hf[demo,annotations,formats] @ git+https://git.example/ser_hf@{COMMIT}"


@pytest.mark.parametrize(
    "origin",
    [
        None,
        {"url": "file:///home/me/ser_hf", "dir_info": {"editable": True}},
        {"url": "https://git.example/ser_hf.zip", "archive_info": {}},
        {"url": "ssh://git@git.example/ser_hf", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
    ],
)
def test_a_space_of_another_installation_is_refused_instead_of_a_name_that_no_index_has(monkeypatch, origin):
    install_from(monkeypatch, origin)
    with pytest.raises(ValueError, match="expected an installation from an address with https") as refused:
        space.find_requirement()
    assert "pip install 'ser_hf[demo] @ git+https://ADDRESS'" in str(refused.value)
    assert "/home" not in str(refused.value)


def test_a_space_is_pushed_private_and_again_and_no_token_is_logged(hub, written, caplog):
    caplog.set_level(logging.DEBUG)
    push_space(written, "someone/tiny", token=TOKEN)
    repository = hub.repositories["spaces/someone/tiny"]
    assert repository.private and "someone/tiny" not in hub.repositories
    assert {name: content for name, content in repository.files.items() if name != ".gitattributes"} == {
        path.name: path.read_bytes() for path in written.iterdir()
    }
    assert "needs the secret HF_TOKEN" in caplog.text and TOKEN not in caplog.text
    (written / "README.md").write_text("---\nsdk: gradio\n---\nchanged\n")
    push_space(written, "someone/tiny", token=TOKEN)
    assert repository.files["README.md"].endswith(b"changed\n")


def test_a_space_of_somebody_else_is_replaced_only_when_asked(hub, written):
    push_space(written, "someone/tiny", token=TOKEN)
    repository = hub.repositories["spaces/someone/tiny"]
    repository.commit(repository.files | {"app.py": b"print('mine')\n"})
    with pytest.raises(ValueError, match="was not made with ser_hf"):
        push_space(written, "someone/tiny", token=TOKEN)
    assert repository.files["app.py"] == b"print('mine')\n"
    push_space(written, "someone/tiny", token=TOKEN, overwrite=True)
    assert repository.files["app.py"] == (written / "app.py").read_bytes()


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.mark.slow
def test_a_space_starts_in_a_clean_environment_and_answers(written, toy_ravdess, tmp_path):
    """The environment has a wheel of this checkout, and no path of it; the packages are those of this Python."""
    source = tmp_path / "source"
    source.mkdir()
    shutil.copytree(ROOT / "ser_hf", source / "ser_hf", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*wheel, str(tmp_path / "dist"), str(source)], check=True)
    venv.create(tmp_path / "clean", with_pip=True)
    python = tmp_path / "clean" / "bin" / "python"
    (found,) = (tmp_path / "clean" / "lib").glob("python*/site-packages")
    (found / "others.pth").write_text(str(Path(httpx.__file__).parents[1]))
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--force-reinstall"]
    subprocess.run([*install, *map(str, (tmp_path / "dist").iterdir())], check=True)
    (written / "someone").mkdir()  # the id of the model is a path here
    os.symlink(written.parent, written / "someone" / "tiny")
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GRADIO_SERVER_PORT": str(port)}
    environment |= {"HF_HUB_OFFLINE": "1", "GRADIO_TEMP_DIR": str(tmp_path / "uploads")}
    with (tmp_path / "log.txt").open("wb") as log:
        app = subprocess.Popen([python, "app.py"], cwd=written, env=environment, stdout=log, stderr=log)
    try:
        for _ in range(300):
            try:
                page = httpx.get(f"http://127.0.0.1:{port}", headers={"host": "someone-tiny.hf.space"})
                break
            except httpx.ConnectError:
                assert app.poll() is None, (tmp_path / "log.txt").read_text()
                time.sleep(1)
        assert page.status_code == 200
        speech = next(toy_ravdess.glob("Actor_06/*.wav"))
        client = Client(f"http://127.0.0.1:{port}", verbose=False)
        answer = client.predict(handle_file(speech), False, None, api_name="/recognise")[0]
        assert answer.startswith("## ") and "No result" not in answer
    finally:
        app.terminate()
        app.wait(30)
    assert str(ROOT) not in (tmp_path / "log.txt").read_text()
