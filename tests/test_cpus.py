"""The number of CPU cores follows the system, the launcher, Slurm and OMP_NUM_THREADS."""

import os
import platform
import subprocess
import sys

import pytest

from ser_hf.cpus import usable_cpus

NAMES = ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK", "LOCAL_WORLD_SIZE", "ACCELERATE_DYNAMO_BACKEND")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, 12),
        ({"OMP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "3,2"}, 3),
        ({"OMP_NUM_THREADS": "99"}, 12),
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": ""}, 12),
        ({"SLURM_CPUS_PER_TASK": "5"}, 5),
        ({"SLURM_CPUS_PER_TASK": "5", "OMP_NUM_THREADS": "2"}, 2),
        ({"LOCAL_WORLD_SIZE": "4"}, 3),
        ({"LOCAL_WORLD_SIZE": "4", "OMP_NUM_THREADS": "1"}, 3),
        ({"LOCAL_WORLD_SIZE": "4", "OMP_NUM_THREADS": "2"}, 2),
        ({"LOCAL_WORLD_SIZE": "99"}, 1),
        ({"ACCELERATE_DYNAMO_BACKEND": "NO", "OMP_NUM_THREADS": "1"}, 12),
    ],
)
def test_the_smallest_limit_counts(variables, expected, monkeypatch):
    monkeypatch.setattr("joblib.cpu_count", lambda: 12)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert usable_cpus() == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_the_affinity_of_the_process_counts():
    code = "import os; os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])\n"
    code += "from ser_hf.cpus import usable_cpus; print(usable_cpus())"
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert run.stdout == "1\n"


ARRAYS = """
import resource
from ser_hf.cpus import keep_freed_memory
import numpy as np
def count_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(2**24, np.float32)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
{call}
print(min(count_pages() for _ in range(3)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
@pytest.mark.parametrize(("call", "anew"), [("", True), ("keep_freed_memory()", False)])
def test_a_large_array_uses_the_memory_of_the_last_one(call, anew):
    command = [sys.executable, "-c", ARRAYS.format(call=call)]
    pages = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert (pages > 20) is anew  # 64 MB are 32 huge pages, or 16384 small ones
