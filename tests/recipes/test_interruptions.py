"""Runs that are killed, or whose disk is full, at any of their writes end like an undisturbed run when repeated."""

import json
import shutil
from pathlib import Path

import pytest
from faulty_disk import KILLED, count_writes, run_until
from safetensors.numpy import load_file

from ser_hf.heads.probe_arguments import ProbeArguments
from ser_hf.runs.command_line import parse_recipe
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.workflows.cross_validate import cross_validate
from ser_hf.workflows.finetune import finetune
from ser_hf.workflows.probe import probe

pytestmark = pytest.mark.slow
CHANGING = {"seconds", "date", "resumed"}  # of each launch


def finetuning(data_root, encoders, output_dir):
    data, model_args, training = parse_recipe([
        "--corpus", "ravdess", "--data_root", str(data_root), "--model_name_or_path", str(encoders / "whisper"),
        "--output_dir", str(output_dir), "--use_cpu", "true", "--num_train_epochs", "2", "--seed", "3",
        "--per_device_train_batch_size", "8", "--dataloader_num_workers", "0", "--ema_decay", "0.5",
    ])  # fmt: skip
    return lambda: finetune(data, model_args, training)


def probing(data_root, encoders, output_dir):
    data = DataArguments(["ravdess"], [str(data_root)])
    return lambda: probe(data, ProbeArguments(str(output_dir), heads=["logistic_regression"]))


def validating(data_root, encoders, output_dir):
    data = DataArguments(["ravdess"], [str(data_root)], protocol="group_kfold", folds=2)
    return lambda: cross_validate(probe, data, ProbeArguments(str(output_dir), heads=["logistic_regression"]))


@pytest.mark.parametrize("fault", ["killed", "full"])
@pytest.mark.parametrize("work", [finetuning, probing, validating])
def test_a_repeated_run_ends_like_an_undisturbed_one(work, fault, toy_ravdess, encoders, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("SER_HF_CACHE", str(cache))
    work(toy_ravdess, encoders, tmp_path / "whole")()
    expected = describe(tmp_path / "whole")
    out = tmp_path / "out"
    run = work(toy_ravdess, encoders, out)
    writes = count_writes(run, [out, cache])
    wrong = []
    for write in range(writes):
        shutil.rmtree(out, ignore_errors=True)
        code = run_until(run, [out, cache], write, fault)
        if code not in ((KILLED, 0) if fault == "killed" else (2, 0)):
            wrong.append(f"write {write}: exit code {code}")
        code = run_until(run, [], 0, fault)
        if code or (found := describe(out)) != expected:
            difference = code or sorted(set(found) ^ set(expected)) or [k for k in found if found[k] != expected[k]]
            wrong.append(f"write {write}, repeated: {difference}")
    print(f"{work.__name__}: {writes} writes, {fault}")
    assert not wrong


def describe(folder: Path) -> dict[str, object]:
    """Return what is compared of each file of a folder; only the names of figures and checkpoints."""
    found: dict[str, object] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if name == "model.safetensors":
            found[name] = {key: value.tobytes() for key, value in load_file(path).items()}
        elif path.suffix in (".csv", ".yaml", ".sha256"):
            found[name] = path.read_bytes()
        elif path.name == "all_results.json":
            found[name] = without(json.loads(path.read_text()))
        else:
            found[name] = None
    return found


def without(content):
    """Return JSON content without the values that change with each launch."""
    if isinstance(content, dict):
        return {key: without(value) for key, value in content.items() if key not in CHANGING}
    return [without(value) for value in content] if isinstance(content, list) else content
