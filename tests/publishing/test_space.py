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


@pytest.fixture(scope="module")
def address(published_folder, tmp_path_factory):
    """Start a Space in an environment with a wheel of this checkout, no path of it, and the packages of this Python."""
    folder = tmp_path_factory.mktemp("space")
    with pytest.MonkeyPatch.context() as patch:
        install_from(patch, ORIGIN)
        written = write_space(shutil.copytree(published_folder, folder / "run"), "someone/tiny")
    (written / "someone").mkdir()  # the id of the model is a path here
    os.symlink(written.parent, written / "someone" / "tiny")
    python, port, log = make_environment(folder), free_port(), folder / "log.txt"
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GRADIO_SERVER_PORT": str(port)}
    environment |= {"HF_HUB_OFFLINE": "1", "GRADIO_TEMP_DIR": str(folder / "uploads")}
    with log.open("wb") as output:
        app = subprocess.Popen([python, "app.py"], cwd=written, env=environment, stdout=output, stderr=output)
    try:
        wait_for(app, port, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        app.terminate()
        app.wait(30)
    assert str(ROOT) not in log.read_text()


def make_environment(folder):
    """Return the path of its Python."""
    source = folder / "source"
    source.mkdir()
    shutil.copytree(ROOT / "ser_hf", source / "ser_hf", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*wheel, str(folder / "dist"), str(source)], check=True)
    venv.create(folder / "clean", with_pip=True)
    python = folder / "clean" / "bin" / "python"
    (found,) = (folder / "clean" / "lib").glob("python*/site-packages")
    (found / "others.pth").write_text(str(Path(httpx.__file__).parents[1]))
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--force-reinstall"]
    subprocess.run([*install, *map(str, (folder / "dist").iterdir())], check=True)
    return python


def wait_for(app, port, log):
    for _ in range(300):
        try:
            page = httpx.get(f"http://127.0.0.1:{port}", headers={"host": "someone-tiny.hf.space"})
            break
        except httpx.ConnectError:
            assert app.poll() is None, log.read_text()
            time.sleep(1)
    assert page.status_code == 200


@pytest.mark.slow
def test_a_space_starts_in_a_clean_environment_and_answers(address, toy_ravdess):
    speech = next(toy_ravdess.glob("Actor_06/*.wav"))
    answer = Client(address, verbose=False).predict(handle_file(speech), False, None, api_name="/recognise")[0]
    assert answer.startswith("## ") and "No result" not in answer


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_a_visitor_of_a_space_gets_the_answer_to_a_real_utterance(address, browser, shared, tmp_path, width):
    tab = browser.new_page(viewport={"width": width, "height": 900})
    tab.goto(address)
    tab.get_by_role("button", name="Record audio").wait_for()
    tab.locator("input[type=file]").first.set_input_files(shared / "data/ravdess/Actor_20/03-01-05-02-01-01-20.flac")
    tab.get_by_role("button", name="Clear").wait_for()
    tab.get_by_role("button", name="Recognise").click()
    tab.wait_for_function("document.querySelector('#figure img')?.naturalWidth > 1000")
    assert tab.locator("#answer h2").inner_text() != "No result"
    assert tab.locator("#about").inner_text().count("Test score:") == 1
    tab.get_by_text("The model card").click()
    tab.locator("#card table").first.wait_for()
    tab.screenshot(path=tmp_path / f"{width}.png", full_page=True)  # pytest keeps it
    assert tab.evaluate("document.documentElement.scrollWidth") == width  # nothing sticks out
    heads = tab.locator("#card th").evaluate_all("cells => cells.map(cell => cell.offsetHeight)")
    assert max(heads) < 90  # pixels; words are not broken into letters
    tab.close()
