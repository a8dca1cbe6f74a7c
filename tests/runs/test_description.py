"""The description of a run for people: hardware, sizes."""

import pytest
import torch

from ser_hf.runs.description import describe_machine


@pytest.mark.parametrize(
    ("device", "gpu", "expected"),
    [
        ("mps", False, "MPS, arm64"),
        ("xpu", False, "XPU, arm64"),
        ("cpu", False, "CPU, 1 thread, arm64"),
        ("cpu", True, "CPU, 1 thread, arm64"),
        (None, False, "CPU, 1 thread, arm64"),
        ("cuda", True, "2 x H200"),
        (None, True, "2 x H200"),
    ],
)
def test_the_device_of_the_run_is_named(device, gpu, expected, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "H200")
    assert describe_machine(device)["hardware"] == expected
