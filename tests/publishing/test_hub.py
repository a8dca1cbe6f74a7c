import os
import subprocess
import sys
from pathlib import Path

import pytest

from ser_hf.publishing import publishable_files

sys.path.insert(0, str(Path(__file__).parent))
from hub_server import serve  # noqa: E402

FINISHED = ("README.md", "all_results.json", "config.json", "preprocessor_config.json", "model.safetensors")
AT_HOME = ("predictions.csv", "training_args.bin", "audio_problems.csv", "checkpoint-9/optimizer.pt", "notes.txt")
PUSH = """
import sys
from ser_hf.publishing import push_to_hub
print(push_to_hub(sys.argv[1], "someone/model", token="hf_secret"))
"""


@pytest.fixture
def finished(tmp_path):
    for name in (*FINISHED, *AT_HOME, "recipe.yaml", "figures/confusion.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_only_the_allowlist_is_publishable(finished):
    names = {path.relative_to(finished).as_posix() for path in publishable_files(finished)}
    assert names == {*FINISHED, "recipe.yaml", "figures/confusion.png"}


def test_an_unfinished_folder_is_refused(finished):
    (finished / "all_results.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no finished run: expected \['all_results.json'\]"):
        publishable_files(finished)


def test_the_real_client_uploads_the_allowlist_in_one_private_commit(finished):
    with serve() as server:
        environment = os.environ | {"HF_ENDPOINT": server.url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
        run = subprocess.run(
            [sys.executable, "-c", PUSH, str(finished)], capture_output=True, text=True, env=environment, timeout=120
        )
    assert run.returncode == 0, run.stderr
    assert server.created[0]["name"] == "model"
    assert server.created[0]["visibility"] == "private"
    assert len(server.commits) == 1
    assert set(server.commits[0]) == {*FINISHED, "recipe.yaml", "figures/confusion.png"}
    assert server.commits[0]["config.json"] == b"config.json"
    assert "hf_secret" not in run.stdout + run.stderr
