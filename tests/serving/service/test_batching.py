"""Threads that share a model."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ser_hf.data.hearing import Hearing
from ser_hf.serving import EmotionClassifier
from ser_hf.serving.backends import Backend
from ser_hf.serving.service.batching import Batcher
from ser_hf.serving.service.errors import StoppedError


def build(run, **hearing):
    return EmotionClassifier(Backend("torch", ["happy", "sad"], run), Hearing(**hearing))


def tone(level, seconds=1):
    return np.full(16_000 * seconds, level, np.float32)


def means(windows):
    """Return each window's mean and its complement."""
    return np.array([[window.mean(), 1 - window.mean()] for window in windows])


def test_threads_share_batches_and_get_their_own_scores():
    sizes = []
    with Batcher(build(means), report=sizes.append) as batcher, ThreadPoolExecutor(16) as pool:
        levels = [number / 64 for number in range(64)]
        found = list(pool.map(lambda level: batcher.classifier.score([tone(level)])[0, 0], levels))
    assert found == pytest.approx(levels)
    assert sum(sizes) == 64
    assert max(sizes) == 4


def test_a_failure_reaches_its_own_thread_only():
    def run(windows):
        if any(window[0] == 0.5 for window in windows):
            raise RuntimeError("out of memory")
        return means(windows)

    with Batcher(build(run)) as batcher, ThreadPoolExecutor(8) as pool:
        tasks = {
            level: pool.submit(batcher.classifier.score, [tone(level)]) for level in (0.25, 0.5, 0.75) for _ in range(1)
        }
        assert [tasks[level].result()[0, 0] for level in (0.25, 0.75)] == [0.25, 0.75]
        with pytest.raises(RuntimeError, match="out of memory"):
            tasks[0.5].result()
        assert batcher.is_running


def test_a_short_recording_does_not_wait_for_a_long_one():
    first_batch, go_on, batches = threading.Event(), threading.Event(), []

    def run(windows):
        first_batch.set()
        go_on.wait(10)
        batches.append([float(window[0]) for window in windows])
        return means(windows)

    with Batcher(build(run, max_duration=1.0), batch_size=4) as batcher, ThreadPoolExecutor(2) as pool:
        long = pool.submit(batcher.classifier.score, [tone(0.25, seconds=30)])
        first_batch.wait(10)
        short = pool.submit(batcher.classifier.score, [tone(0.75)])
        while batcher._jobs.empty():
            pass
        go_on.set()
        assert short.result()[0, 0] == 0.75
        assert long.result()[0, 0] == 0.25
    assert [0.75 in batch for batch in batches].index(True) <= 2
    assert sum(map(len, batches)) == 59 + 1


def test_what_waits_is_scored_before_the_end():
    slow = threading.Event()

    def run(windows):
        slow.wait(10)
        return means(windows)

    with ThreadPoolExecutor(4) as pool:
        with Batcher(build(run), batch_size=1) as batcher:
            tasks = [pool.submit(batcher.classifier.score, [tone(level)]) for level in (0.25, 0.5, 0.75)]
            while batcher._jobs.qsize() < 2:
                pass
            threading.Timer(0.05, slow.set).start()
        assert [task.result()[0, 0] for task in tasks] == [0.25, 0.5, 0.75]
        assert not batcher.is_running


def test_a_long_recording_in_progress_ends_with_an_error_after_the_end():
    first_batch, go_on = threading.Event(), threading.Event()

    def run(windows):
        first_batch.set()
        go_on.wait(10)
        return means(windows)

    def score_twice(classifier):
        return [classifier.score([tone(0.25)]) for _ in range(2)]

    with ThreadPoolExecutor(1) as pool, Batcher(build(run)) as batcher:
        long = pool.submit(score_twice, batcher.classifier)
        first_batch.wait(10)
        batcher._accepts = False  # the end has begun: the first job is scored, the second one comes too late
        go_on.set()
        with pytest.raises(StoppedError, match="found one that has stopped"):
            long.result(10)
    with pytest.raises(StoppedError):
        batcher.classifier.score([tone(0.25)])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("part", ["model", "report"])
def test_nobody_waits_for_a_thread_that_has_died(part):
    first_batch, go_on = threading.Event(), threading.Event()

    def die(*_):
        first_batch.set()
        go_on.wait(10)
        raise SystemExit if part == "model" else RuntimeError("no memory")

    model, report = (die, lambda windows: None) if part == "model" else (means, die)
    with Batcher(build(model), batch_size=1, report=report) as batcher, ThreadPoolExecutor(2) as pool:
        running = pool.submit(batcher.classifier.score, [tone(0.25)])
        first_batch.wait(10)
        waiting = pool.submit(batcher.classifier.score, [tone(0.5)])
        while batcher._jobs.empty():
            pass
        go_on.set()
        for task in (running, waiting):
            with pytest.raises(StoppedError, match="found one that has stopped"):
                task.result(10)
        batcher._thread.join()
        with pytest.raises(StoppedError):
            batcher.classifier.score([tone(0.75)])
        assert not batcher.is_running


def test_before_the_start_a_score_is_an_error():
    with pytest.raises(StoppedError):
        Batcher(build(means)).classifier.score([tone(0.25)])


def test_long_audio_is_averaged_over_its_windows_as_by_the_classifier():
    classifier = build(means, max_duration=2.0)
    waveforms = [np.linspace(0, 1, 16_000 * 7, dtype=np.float32), tone(0.5)]
    with Batcher(classifier) as batcher:
        assert batcher.classifier.score(waveforms) == pytest.approx(classifier.score(waveforms))
