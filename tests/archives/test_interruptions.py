"""Real runs that are killed at random: minutes each."""

import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import crashing_decoder
import pandas
import psutil
import pytest
import tqdm

from ser_hf.archives import merge_parts, verify
from ser_hf.archives.job import done_shards
from ser_hf.archives.store import Store
from ser_hf.archives.worker import ShardWorker
from ser_hf.cli import main
from ser_hf.data import decoder

from .test_archive import parts

RUNS = 50


class Driver:
    """Run a job in a forked process and process group; its workers are forked too, which saves their imports."""

    def __init__(self, folder, workers=1):
        self.pid = os.fork()
        if self.pid:
            return
        os.setsid()
        fork = multiprocessing.get_context("fork")
        multiprocessing.get_context = lambda kind: fork
        tqdm.std.tqdm.set_lock(threading.RLock())  # its own lock is shared with processes that are killed
        code = 99
        try:
            code = main(["archive", "run", str(folder), "--workers", str(workers)])
        finally:
            os._exit(code)

    def is_running(self):
        return psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE

    def wait(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def count_parts(folder):
    return len(done_shards(Store(str(folder))))


def kill(driver, victim, chance):
    """Send SIGKILL to a worker, to the driver, or to its whole process group."""
    if victim == "group":
        os.killpg(driver.pid, signal.SIGKILL)
    elif victim == "driver":
        os.kill(driver.pid, signal.SIGKILL)
    elif children := psutil.Process(driver.pid).children(recursive=True):
        chance.choice(children).kill()


@pytest.fixture
def sixty_shards(planned, tmp_path, write_audio):
    """Plan jobs of the same 120 files in 60 shards."""
    for i in range(120):
        write_audio(tmp_path / f"many/{i:03d}.wav", seconds=0.45, frequency=100 + 5 * i)
    return lambda name, **settings: planned(tmp_path / "many", tmp_path / name, **settings)


@pytest.mark.slow
def test_fifty_runs_that_are_killed_at_random_give_every_file_once_and_the_same_parts(sixty_shards, tmp_path):
    expected = sixty_shards("expected")
    assert Driver(expected).wait() == 0
    undisturbed = parts(expected)
    assert len(undisturbed) == 60
    chance, finished = random.Random(0), []
    folder = sixty_shards("job-0")
    for number in range(RUNS):
        began, victim = count_parts(folder), ("worker", "driver", "group")[number % 3]
        driver = Driver(folder, workers=1 + number % 2)
        if number % 5:  # after some parts of this run; otherwise while the processes start
            wanted = min(60, began + chance.randrange(20))
            while count_parts(folder) < wanted and driver.is_running():
                time.sleep(0.01)
        time.sleep(chance.random())
        if driver.is_running():
            kill(driver, victim, chance)
        if victim == "worker":
            assert driver.wait() == 0
        else:
            driver.wait()
        ended = count_parts(folder)
        print(f"run {number}: {victim} killed, {began} -> {ended} parts", flush=True)
        if ended == 60 or number == RUNS - 1:
            assert Driver(folder).wait() == 0
            finished.append(folder)
            folder = sixty_shards(f"job-{len(finished)}")
    for folder in finished:
        assert parts(folder) == undisturbed
        sums = verify(str(folder))
        assert list(Path(folder, "parts").glob(".*")) == []
        assert (sums.files, sums.rows, sums.errors, sums.missing, sums.faults) == (120, 120, 0, [], [])
        merge_parts(str(folder), str(tmp_path / "out.parquet"))
        assert pandas.read_parquet(tmp_path / "out.parquet")["key"].tolist() == [f"{i:03d}.wav" for i in range(120)]


@pytest.mark.slow
def test_two_drivers_at_once_both_finish_and_the_parts_are_the_same(sixty_shards):
    folder, expected = sixty_shards("job"), sixty_shards("expected")
    assert [driver.wait() for driver in [Driver(folder), Driver(folder)]] == [0, 0]
    assert Driver(expected).wait() == 0
    assert parts(folder) == parts(expected)
    assert list(Path(folder, "parts").glob(".*")) == []


@pytest.mark.slow
def test_a_file_that_ends_its_worker_becomes_an_error_row(planned, calls, monkeypatch):
    open_sndfile = decoder._open_sndfile

    def crash(path, file):
        crashing_decoder.decode(path)
        return open_sndfile(path, file)

    monkeypatch.setattr(decoder, "_open_sndfile", crash)
    (calls / "day 1/3.wav").write_bytes(b"crash" * 2_700)
    folder = planned()
    assert Driver(folder).wait() == 0
    sums = verify(str(folder))
    assert (sums.files, sums.rows, sums.errors) == (7, 7, 2)
    table = pandas.concat(pandas.read_parquet(path) for path in (folder / "parts").iterdir()).set_index("key")
    assert table["error"]["day 1/3.wav"].startswith("The decoder crashes on 'day 1/3.wav'")


@pytest.mark.slow
def test_ray_gives_the_same_parts_also_when_its_actor_is_killed(sixty_shards):
    folder, expected = sixty_shards("job"), sixty_shards("expected")
    argv = [sys.executable, "-m", "ser_hf.cli", "archive", "run", str(folder), "--ray", "--workers", "1"]
    with subprocess.Popen(argv, env=os.environ | {"RAY_worker_niceness": "0"}) as driver:
        while count_parts(folder) < 5 and driver.poll() is None:
            time.sleep(0.05)
        actors = [each for each in psutil.Process(driver.pid).children(recursive=True) if "_Actor" in each.name()]
        for actor in actors:
            actor.kill()
        assert driver.wait() == 0
    assert len(actors) == 1
    assert Driver(expected).wait() == 0
    assert parts(folder) == parts(expected)


@pytest.mark.slow
def test_ten_times_the_shards_take_ten_times_the_time_and_no_more_memory(planned, tmp_path, write_audio):
    for i in range(1_200):
        write_audio(tmp_path / f"many/{i:04d}.wav", seconds=0.45, frequency=100 + i)
    shutil.copytree(tmp_path / "many", tmp_path / "few", ignore=lambda _, names: sorted(names)[120:])
    few, many = (ShardWorker(str(planned(tmp_path / name, tmp_path / f"job-{name}"))) for name in ("few", "many"))
    seconds, memory = {few: 0.0, many: 0.0}, {}
    few.run(0)  # warm-up
    for worker, shards in ((few, range(1, 31)), (many, range(600)), (few, range(31, 60))):
        before = time.process_time()
        for shard in shards:
            worker.run(shard)
        seconds[worker] += time.process_time() - before
        memory.setdefault(worker, psutil.Process().memory_info().rss / 1e6)
    ratio = 10 * (seconds[many] / 600) / (seconds[few] / 59)
    print(f"10 times the shards take {ratio:.2f} times the CPU time; resident memory in MB {list(memory.values())}")
    assert ratio <= 10.5
    assert memory[many] - memory[few] < 20
