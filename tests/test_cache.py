import errno
import os
import sqlite3
import subprocess
import sys
import time

import pytest
from datasets import DatasetDict

from ser_hf.cache import explain_full_disk, keep_file, remove_partial_files, whole_file, write_text
from ser_hf.runs.folder import claim_folder


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError("I/O error: No space left on device (os error 28)"),
        sqlite3.OperationalError("database or disk is full"),
        RuntimeError("[enforce fail at inline_container.cc:672] . PytorchStreamWriter failed writing file data/3"),
    ],
)
def test_a_full_disk_is_one_sentence_whatever_library_finds_it(tmp_path, error):
    with (
        pytest.raises(OSError, match=r"disk of '.*' is full \([0-9.]+ GB free\)\. Make space"),
        explain_full_disk(tmp_path),
    ):
        raise error


def test_other_errors_pass_as_they_are(tmp_path):
    with pytest.raises(KeyError, match="label"), explain_full_disk(tmp_path):
        raise KeyError("label")


def test_an_error_that_a_full_disk_led_to_is_explained_too(tmp_path):
    with pytest.raises(OSError, match="Make space and run the same command again"), explain_full_disk(tmp_path):
        try:
            raise OSError(28, "No space left on device")
        except OSError:
            raise UnboundLocalError("cannot access local variable 'state'") from None  # as in Optuna


def test_a_full_disk_of_the_cache_names_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SER_HF_CACHE", str(tmp_path))
    monkeypatch.setattr("pathlib.Path.write_bytes", fail_for_lack_of_space)
    with pytest.raises(RuntimeError, match=f"cache '{tmp_path}': The disk of .* is full .*SER_HF_CACHE"):
        keep_file(tmp_path / "audio" / "a.npy", b"samples")


def fail_for_lack_of_space(path, content):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_only_incomplete_files_are_removed(tmp_path):
    (tmp_path / "checkpoint-3").mkdir()
    kept = ["model.safetensors", ".lock", ".hidden", "notes.partial", "checkpoint-3/trainer_state.json", ".tmp"]
    gone = [".recipe.yaml.0f3c.partial", "checkpoint-3/.tmpQ1w2E3"]
    for name in kept + gone:
        (tmp_path / name).write_text("")
    remove_partial_files(list(tmp_path.rglob("*")))
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


def test_an_old_incomplete_file_of_the_cache_is_removed_and_a_new_one_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("SER_HF_CACHE", str(tmp_path))
    (tmp_path / "partial").mkdir()
    for name, age in (("old", 25 * 3600), ("new", 3600)):
        (tmp_path / "partial" / name).write_text("")
        os.utime(tmp_path / "partial" / name, (time.time() - age,) * 2)
    keep_file(tmp_path / "audio" / "a.npy", b"samples")
    assert [path.name for path in (tmp_path / "partial").iterdir()] == ["new"]
    assert (tmp_path / "audio" / "a.npy").read_bytes() == b"samples"


def test_an_incomplete_file_is_removed_once_its_process_has_ended(tmp_path, monkeypatch):
    monkeypatch.setenv("SER_HF_CACHE", str(tmp_path / "cache"))
    table, cached = tmp_path / "a[1].csv", tmp_path / "cache" / "audio" / "b.npy"
    script = (
        "import os, sys; from pathlib import Path; from ser_hf.cache import keep_file, whole_file; "
        "Path.replace = lambda path, target: os._exit(9); "
        "whole_file(sys.argv[1]).__enter__().touch(); keep_file(Path(sys.argv[2]), b'')"
    )
    assert subprocess.run([sys.executable, "-c", script, str(table), str(cached)], check=False).returncode == 9
    (tmp_path / "cache" / "partial" / "of_another_machine").touch()
    assert len(list(tmp_path.rglob("*.partial"))) == 2
    with whole_file(table) as living:
        living.touch()
        write_text(table, "scores")
        assert list(tmp_path.glob(".*.partial")) == [living]
    keep_file(cached, b"samples")
    names = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert names == ["a[1].csv", "b.npy", "of_another_machine"]


def test_a_folder_that_cannot_be_created_for_lack_of_space_is_the_same_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("pathlib.Path.mkdir", lambda folder, **options: fail_for_lack_of_space(folder, b""))
    with (
        pytest.raises(OSError, match=r"disk of '.*run' is full \([0-9.]+ GB free\)\. Make space"),
        claim_folder(tmp_path / "new" / "run", {}, DatasetDict()),
    ):
        pytest.fail("the folder cannot be locked")


def test_an_error_while_writing_keeps_the_old_file(tmp_path):
    (tmp_path / "scores.txt").write_text("old")
    with pytest.raises(ValueError, match="stop"), whole_file(tmp_path / "scores.txt") as partial:
        partial.write_text("ne")
        raise ValueError("stop")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("scores.txt", "old")]
