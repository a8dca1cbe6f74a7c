"""Work that is killed, or whose disk is full, at any of its writes ends like undisturbed work when it is repeated."""

import json
import os
from functools import partial
from itertools import count
from pathlib import Path

import httpx2
import pandas
import pytest
from faulty_disk import KILLED, run_until, try_each_write
from huggingface_hub import constants
from matplotlib.figure import Figure
from publishing.hub_server import TOKEN, serve
from safetensors.numpy import load_file

from ser_hf.commands.predict import predict_command
from ser_hf.commands.publishing import export_command
from ser_hf.data.audio import load_audio
from ser_hf.heads.probe_arguments import ProbeArguments
from ser_hf.publishing.upload import push
from ser_hf.runs.command_line import parse_recipe
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.workflows.cross_validate import cross_validate
from ser_hf.workflows.finetune import finetune
from ser_hf.workflows.probe import probe
from ser_hf.workflows.sweep import sweep
from ser_hf.workflows.sweep_arguments import SweepArguments

pytestmark = pytest.mark.slow
CHANGING = {"seconds", "date", "resumed"}  # of each launch


def finetuning(data_root, encoders, out):
    arguments = parse_training(data_root, encoders, out, "--num_train_epochs", "2", "--ema_decay", "0.5")
    return lambda: finetune(*arguments)


def parse_training(data_root, encoders, out, *argv):
    return parse_recipe([
        "--corpus", "ravdess", "--data_root", str(data_root), "--model_name_or_path", str(encoders / "whisper"),
        "--output_dir", str(out), "--use_cpu", "true", "--seed", "3",
        "--per_device_train_batch_size", "8", "--dataloader_num_workers", "0", *argv,
    ])  # fmt: skip


def probing(data_root, encoders, out):
    data = DataArguments(["ravdess"], [str(data_root)])
    return lambda: probe(data, ProbeArguments(str(out), heads=["logistic_regression"]))


def validating(data_root, encoders, out):
    data = DataArguments(["ravdess"], [str(data_root)], protocol="group_kfold", folds=2)
    return lambda: cross_validate(probe, data, ProbeArguments(str(out), heads=["logistic_regression"]))


def searching(data_root, encoders, out):
    arguments = parse_training(data_root, encoders, out, "--num_train_epochs", "1")
    return lambda: sweep(*arguments, SweepArguments(trials=2, search=["learning_rate"]))


def predicting(data_root, encoders, out):
    def run():
        out.mkdir(exist_ok=True)
        predict_command([str(data_root), "--model", str(encoders / "whisper"), "--output", str(out / "table.csv")])

    return run


def exporting(data_root, encoders, out):
    return lambda: export_command([str(encoders / "hubert-group"), "--output_dir", str(out)])


def decoding(data_root, encoders, out):
    def run():
        os.environ["SER_HF_CACHE"] = str(out)
        for path in sorted(data_root.rglob("*.wav"))[:6]:
            assert len(load_audio(path)) > 6000

    return run


WORK = [finetuning, probing, validating, searching, predicting, exporting, decoding]


@pytest.mark.parametrize("fault", ["killed", "full"])
@pytest.mark.parametrize("work", WORK)
def test_repeated_work_ends_like_undisturbed_work(work, fault, toy_ravdess, encoders, tmp_path, monkeypatch):
    monkeypatch.setenv("SER_HF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **options: path.write_bytes(b""))  # saves a second
    out = tmp_path / "out"
    run = work(toy_ravdess, encoders, out)
    assert run_until(run, [], 0, fault) == 0
    expected = describe(out)
    assert expected
    assert not try_each_write(run, expected, lambda: describe(out), [out], fault)


@pytest.mark.parametrize("answered", [False, True])
def test_a_push_that_is_killed_at_any_request_is_one_commit_when_repeated(answered, tmp_path, monkeypatch):
    files = {"README.md": b"# A model\n", "config.json": b"{}", "recipe.yaml": b"seed: 3\n"}
    files["model.safetensors"] = bytes(range(256)) * 400
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    send = httpx2.Client.send

    def run(fatal):
        numbers = count()

        def send_or_end(client, request, **options):
            number = next(numbers)
            if number == fatal and not answered:
                os._exit(KILLED)
            response = send(client, request, **options)
            if number == fatal:
                os._exit(KILLED)
            return response

        httpx2.Client.send = send_or_end  # in the child only
        push({name: tmp_path / name for name in files}, "someone/tiny", token=TOKEN)

    for request in count():
        with serve() as hub:
            monkeypatch.setattr(constants, "ENDPOINT", hub.url)
            code = run_until(partial(run, request), [], 0, "killed")
            assert run_until(partial(run, None), [], 0, "killed") == 0
            commits = list(hub.repositories["someone/tiny"].commits.values())
            assert {name: commits[-1].get(name) for name in files} == files
            assert len(commits) == 2  # the first one made the repository
        if code == 0:
            break
        assert code == KILLED
    print(f"{request} requests")
    assert request > 5


def describe(folder: Path) -> dict[str, object]:
    """Return what is compared of each file of a folder; only the names of figures, databases and checkpoints."""
    found: dict[str, object] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if name == "model.safetensors":
            found[name] = {key: value.tobytes() for key, value in load_file(path).items()}
        elif name == "trials.csv":
            found[name] = pandas.read_csv(path).drop(columns="seconds").to_dict("list")
        elif path.suffix in (".csv", ".yaml", ".sha256", ".npy", ".onnx", ".jsonl"):
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
