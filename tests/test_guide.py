"""The code of the guide, run as it stands: a block without a title is executed, in the order of its page."""

import dataclasses
import functools
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from stock_pipeline import pipeline_in_this_process  # noqa: F401
from voices import say, write_voice_checkpoint

import ser_hf
from ser_hf.cli import COMMANDS, main
from ser_hf.serving.service.limits import ServiceLimits

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "guide"
CONFIG = ROOT / "docs" / "mkdocs.yml"
BLOCK = re.compile(r"^```(python|bash)( title=\"[^\"\n]+\")?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SHORT = {"--num_train_epochs": "1", "--use_cpu": "true"}  # added to trainings
FINDINGS = {"data check"}  # commands whose exit code is 1 here
LONG = (
    "archives",
    "first_model",
    "gallery",
    "publishing",
    "robustness",
    "splits",
    "votes_and_ratings",
    "your_recordings",
)
QUICK = ("coming_from", "extending", "long_recordings", "one_voice", "service")
PACKAGES = ("ser_hf", "ser_hf.data", "ser_hf.evaluation", "ser_hf.models", "ser_hf.publishing", "ser_hf.serving")
ARGUMENTS = (
    ser_hf.DataArguments, ser_hf.ModelArguments, ser_hf.SerTrainingArguments, ser_hf.ProbeArguments,
    ser_hf.EvaluationArguments, ser_hf.MatrixArguments,
)  # fmt: skip


@pytest.fixture(scope="module")
def user(tmp_path_factory, write_audio):
    """A user's folder: recordings of six speakers with their tables, calls, an interview, and a checkpoint."""
    folder = tmp_path_factory.mktemp("reader")
    write_voice_checkpoint(folder / "runs/mine", "whisper")
    write_audio(folder / "utterance.wav")
    table, rated = ["file,emotion,speaker"], ["file,emotion,speaker,votes_angry,votes_sad,arousal,valence"]
    for number, name in enumerate(("anna", "ben", "chloe", "david", "emma", "finn")):
        for emotion, label in ((0, "angry"), (1, "sad")):
            for take in range(1, 4):
                path = f"recordings/{label}/{name}_{take}.wav"
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(folder / path, say(number, emotion, take), 16_000)
                table.append(f"{path},{label},{name}")
                rated.append(f"{path},{label},{name},{3 - 2 * emotion},{2 * emotion},{4.2 - emotion},{1 + emotion}")
    (folder / "recordings.csv").write_text("\n".join(table))
    (folder / "rated.csv").write_text("\n".join(rated))
    for name in ("anna", "calls"):
        (folder / name).mkdir()
        for take in range(4):
            soundfile.write(folder / name / f"{take}.wav", say(1, take % 2, take), 16_000)
    (folder / "my_corpus").mkdir()
    for name in ("anna", "ben", "chloe"):
        for code in "as":
            write_audio(folder / "my_corpus" / f"{name}_{code}01.wav")
    interview = np.concatenate([say(1, 0, 1, 2.5), np.zeros(8_000), say(2, 1, 1, 2.0)])
    soundfile.write(folder / "interview.wav", interview, 16_000)
    soundfile.write(folder / "call.wav", np.stack([interview, interview[::-1]], axis=1), 16_000)
    turns = ("0.0 2.5 <NA> <NA> anna", "3.0 2.0 <NA> <NA> ben")
    (folder / "interview.rttm").write_text("".join(f"SPEAKER interview 1 {turn} <NA> <NA>\n" for turn in turns))
    return folder


def pages():
    names = {path.stem for path in GUIDE.glob("*.md") if "```" in path.read_text(encoding="utf-8")}
    assert names == {*LONG, *QUICK}
    return [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in sorted(names)]


@pytest.mark.parametrize("page", pages())
def test_the_examples_run(page, user, monkeypatch, capsys):
    monkeypatch.chdir(user)
    names = {}
    blocks = BLOCK.findall((GUIDE / f"{page}.md").read_text(encoding="utf-8"))
    untitled = [(language, code) for language, title, code in blocks if not title]
    assert untitled
    for language, code in untitled:
        if language == "python":
            exec(code, names)
            assert capsys.readouterr().out
        else:
            for line in code.replace("\\\n", " ").splitlines():
                run(shlex.split(line, comments=True))


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = json.loads((GUIDE / "first_model.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    shown = [cell for cell in code if "IPython" not in cell]  # ser_hf does not need it
    assert (len(code), len(shown)) == (5, 4)
    monkeypatch.setattr(ser_hf, "train", functools.partial(ser_hf.train, num_train_epochs=1, use_cpu=True))
    exec("\n".join(shown), {})


def test_the_notebook_has_no_output():
    cells = json.loads((GUIDE / "first_model.ipynb").read_text(encoding="utf-8"))["cells"]
    assert [cell for cell in cells if cell.get("outputs")] == []


def run(words):
    assert words.pop(0) == "ser-hf"
    if words[0] == "train":
        words += [word for item in SHORT.items() for word in item]
    command = " ".join(words[:2]) if words[0] in ("data", "archive") else words[0]
    assert main(words) == (command in FINDINGS), " ".join(words)


def test_every_command_is_in_the_guide():
    text = "\n".join(path.read_text(encoding="utf-8") for path in GUIDE.glob("*.md"))
    missing = [name for name in COMMANDS if not re.search(rf"ser-hf (?:data )?{name}\b|`{name.split()[-1]}`", text)]
    assert missing == []


def test_every_public_name_is_in_the_api_once():
    text = (GUIDE / "api.md").read_text(encoding="utf-8")
    described = re.findall(r"^::: (?:[\w.]+)\.(\w+)$", text, re.MULTILINE)
    stubs = "".join((ROOT / name.replace(".", "/") / "__init__.pyi").read_text(encoding="utf-8") for name in PACKAGES)
    public = re.findall(r" as (\w+)$", stubs, re.MULTILINE)
    assert "EmotionClassifier" in public
    assert sorted(described) == sorted(set(public))


def test_every_file_that_the_guide_names_is_there():
    text = "\n".join(path.read_text(encoding="utf-8") for path in GUIDE.glob("*.md"))
    for name in re.findall(r"\b(?:recipes|ser_hf|tests)/[\w/]+\.(?:py|yaml|md)", text):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"`((?:ravdess|folder|iemocap|crema_d|msp_podcast)/\w+)`|ser-hf train (\w+(?:/\w+)?)", text):
        assert (ROOT / "recipes" / "configs" / f"{''.join(name)}.yaml").exists(), name


def test_every_option_that_the_guide_names_exists():
    texts = {path.stem: path.read_text(encoding="utf-8") for path in GUIDE.glob("*.md")}
    texts["coming_from"] = re.sub(r"^\|[^|]*\|", "", texts["coming_from"], flags=re.MULTILINE)  # options of other tools
    named = set(re.findall(r"(?<![\w-])--([a-z][\w-]+)", "\n".join(texts.values())))
    commands = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "ser_hf" / "commands").glob("*.py"))
    known = {field.name for kind in (*ARGUMENTS, ServiceLimits) for field in dataclasses.fields(kind)}
    assert {"speaker_pattern", "channels", "test_share"} <= named
    assert named - known - set(re.findall(r'"--([\w-]+)"', commands)) == {
        "num_processes", "quiet", "help_all", "serving",  # of accelerate, all commands, recipes, the benchmark
    }  # fmt: skip


@pytest.mark.slow
def test_the_site_loads_nothing_from_the_network(tmp_path):
    if shutil.which("mkdocs", path=Path(sys.executable).parent) is None:
        pytest.skip("mkdocs is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", CONFIG, "--site-dir", tmp_path]
    subprocess.run(command, check=True, capture_output=True)
    html = {path: path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")}
    assert len(html) == len(list(GUIDE.glob("*.md"))) + 3  # recipes, CONTRIBUTING, 404
    for path, text in html.items():
        loaded = re.findall(r"<(?:script|link|img|iframe)[^>]*\b(?:src|href)=\"?((?:https?:)?//[^\" >]+)", text)
        assert loaded == [], path


def test_the_configuration_asks_for_no_web_fonts():
    assert yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["theme"]["font"] is False
