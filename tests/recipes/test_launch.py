"""A real kill and real ranks: `recipes/finetune.py` as users launch it, on the synthetic corpus."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from architectures import feature_extractor, tiny_model
from safetensors.torch import load_file

from ser_hf.evaluation import read_predictions

pytestmark = pytest.mark.slow

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
TINY = ("d_model=32", "encoder_layers=1", "encoder_attention_heads=2", "encoder_ffn_dim=32", "classifier_proj_size=16")
LOSS_TOLERANCE = 1e-4  # relative; the sums of a batch are added in another order


def command(out, *argv, launch=("--cpu",)):
    return [
        sys.executable, "-m", "accelerate.commands.launch", *launch, str(RECIPES / "finetune.py"),
        "--corpus", "synthetic", "--model_type", "whisper", "--config_overrides", *TINY, "--learning_rate", "0.001",
        "--output_dir", str(out), "--use_cpu", "true", "--dataloader_num_workers", "0", *argv,
    ]  # fmt: skip


def run(*args, **options):
    done = subprocess.run(command(*args, **options), capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def losses(folder):
    """Return the training losses in the order of their steps."""
    last = max(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    history = json.loads((last / "trainer_state.json").read_text())["log_history"]
    return [entry["loss"] for entry in history if "loss" in entry]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def check_ranks(folder, single):
    """Compare a run of two ranks with one process at the same global batch."""
    results = json.loads((folder / "all_results.json").read_text())
    assert results["training"]["processes"] == 2
    assert len(losses(folder)) > 5
    assert losses(folder) == pytest.approx(losses(single), rel=LOSS_TOLERANCE)
    table = read_predictions(folder / "predictions.csv")
    assert not table.duplicated(["path", "split"]).any()
    assert table["path"].tolist() == read_predictions(single / "predictions.csv")["path"].tolist()


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """One process at a global batch of 16, losses logged at every other step."""
    out = tmp_path_factory.mktemp("single") / "out"
    run(out, "--per_device_train_batch_size", "16", "--num_train_epochs", "2", *EVERY_SECOND_STEP)
    return out


EVERY_SECOND_STEP = ("--logging_strategy", "steps", "--logging_steps", "2")
RANKS = ("--per_device_train_batch_size", "8", "--num_train_epochs", "2", *EVERY_SECOND_STEP)


def test_a_run_killed_in_epoch_2_ends_with_the_weights_of_an_uninterrupted_one(tmp_path):
    argv = ("--num_train_epochs", "3", "--per_device_train_batch_size", "2", "--noise_snr", "10", "--seed", "5")
    argv += ("--mask_time_prob", "0.1")
    run(tmp_path / "whole", *argv)
    process = subprocess.Popen(
        command(tmp_path / "cut", *argv), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 300
    while not list((tmp_path / "cut").glob("checkpoint-*/trainer_state.json")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert len(list((tmp_path / "cut").glob("checkpoint-*"))) == 1, "killed too late to prove anything"
    assert not (tmp_path / "cut" / "model.safetensors").exists()

    run(tmp_path / "cut", *argv)
    whole, cut = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    assert all(value.equal(cut[name]) for name, value in whole.items())


def test_two_ranks_give_the_loss_curve_of_one_process(tmp_path, single):
    run(
        tmp_path / "out",
        *RANKS,
        launch=("--multi_gpu", "--num_processes", "2", "--main_process_port", str(free_port())),
    )
    check_ranks(tmp_path / "out", single)


def test_two_machines_give_the_loss_curve_of_one_process(tmp_path, single):
    port = str(free_port())
    machines = [
        subprocess.Popen(
            command(tmp_path / "out", *RANKS, launch=(
                "--config_file", str(RECIPES / "accelerate" / "multi_node.yaml"), "--machine_rank", str(rank),
                "--main_process_port", port,
            )),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    for machine in machines:
        _, stderr = machine.communicate(timeout=580)
        assert machine.returncode == 0, stderr[-3000:]
    check_ranks(tmp_path / "out", single)


@pytest.mark.parametrize(
    "task",
    [
        pytest.param(("--task", "dimensions"), id="ccc"),
        pytest.param(("--task", "votes", "--auxiliary_task", "dimensions"), id="auxiliary"),
    ],
)
def test_two_ranks_give_the_loss_of_the_whole_step_as_one_process_does(tmp_path, task):
    task += ("--num_train_epochs", "1", "--logging_strategy", "steps", "--logging_steps", "1")
    run(tmp_path / "one", *task, "--per_device_train_batch_size", "16")
    launch = ("--multi_gpu", "--num_processes", "2", "--main_process_port", str(free_port()))
    parts = ("--per_device_train_batch_size", "4", "--gradient_accumulation_steps", "2")
    run(tmp_path / "two", *task, *parts, launch=launch)
    assert len(losses(tmp_path / "one")) > 10
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=LOSS_TOLERANCE)


def test_two_ranks_train_on_the_batches_by_seconds_that_one_process_accumulates(tmp_path):
    model = tiny_model("wav2vec2-group")
    model.config.update({"apply_spec_augment": False, "layerdrop": 0.0})
    model.config.update(dict.fromkeys(("hidden_dropout", "attention_dropout", "activation_dropout"), 0.0))
    model.config.update({"feat_proj_dropout": 0.0, "final_dropout": 0.0})
    for part in (model, feature_extractor("wav2vec2-group")):
        part.save_pretrained(tmp_path / "encoder")
    argv = ("--model_type", "none", "--config_overrides", "none", "--model_name_or_path", str(tmp_path / "encoder"))
    argv += ("--batch_seconds", "20", "--num_train_epochs", "2", *EVERY_SECOND_STEP)
    run(tmp_path / "one", *argv, "--gradient_accumulation_steps", "2")
    run(
        tmp_path / "two", *argv, launch=("--multi_gpu", "--num_processes", "2", "--main_process_port", str(free_port()))
    )
    check_ranks(tmp_path / "two", tmp_path / "one")
