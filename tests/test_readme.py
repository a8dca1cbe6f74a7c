"""The README's code, run as it stands: only the files that it names are laid out before."""

import re
import shlex
from pathlib import Path

import pytest
from stock_pipeline import pipeline_in_this_process  # noqa: F401
from voices import write_voice_checkpoint

from ser_hf.cli import main

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
(COMMANDS,) = (block for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL) if "ser-hf predict" in block)


@pytest.fixture(scope="module")
def user(tmp_path_factory, toy_ravdess, write_audio):
    """A user's home: a checkpoint, two recordings, a folder of calls, a corpus and a table of labels."""
    folder = tmp_path_factory.mktemp("user")
    write_voice_checkpoint(folder / "runs/mine", "whisper")
    write_audio(folder / "utterance.wav")
    write_audio(folder / "interview.mp3", seconds=5, rate=44_100, channels=2)
    write_audio(folder / "call.wav", seconds=2, channels=2)
    write_audio(folder / "talk.wav", seconds=4)
    (folder / "talk.rttm").write_text("SPEAKER talk 1 0.5 3 <NA> <NA> Anna <NA> <NA>\n")
    for i in range(4):
        write_audio(folder / f"anna/{i}.wav", seconds=1, frequency=100 + 30 * i)
    for i in range(3):
        write_audio(folder / f"calls/{i}.wav", frequency=200 + 50 * i)
    for emotion in ("Angry", "Happy", "Neutral", "Sad"):
        write_audio(folder / f"URDU/{emotion}/SM1_F1_{emotion[0]}01.wav")
    (folder / "RAVDESS").symlink_to(toy_ravdess)
    emotions = {"03": "happy", "04": "sad"}
    rows = [f"{path},{emotions[path.name[6:8]]}" for path in toy_ravdess.rglob("*.wav") if path.name[6:8] in emotions]
    (folder / "labels.csv").write_text("\n".join(["path,emotion", *rows]))
    return folder


@pytest.fixture
def at_home(user, monkeypatch):
    monkeypatch.chdir(user)
    monkeypatch.setenv("HOME", str(user))


@pytest.mark.parametrize("code", PYTHON)
def test_the_code_runs(code, at_home, capsys):
    exec(code, {})
    assert capsys.readouterr().out


@pytest.mark.slow
def test_the_commands_for_archives_run(at_home, user):
    lines = re.findall(r"^ser-hf (archive .*?)  +#", README, re.MULTILINE)
    assert [main(shlex.split(line.replace("~", str(user)))) for line in lines] == [0, 0, 0, 0]


def test_the_command_for_one_voice_runs(at_home):
    (line,) = re.findall(r"^ser-hf (adapt .*?) +#", README, re.MULTILINE)
    assert main(shlex.split(line)) == 0


@pytest.mark.parametrize("command", ["predict", "evaluate", "timeline", "export"])
def test_the_commands_run(command, at_home, user):
    lines = re.findall(rf"^ser-hf ({command} .*?)(?:  +#.*)?$", COMMANDS, re.MULTILINE)
    assert len(lines) == {"timeline": 4, "predict": 2}.get(command, 1)
    for line in lines:
        assert main(shlex.split(line.replace("~", str(user)))) == 0
