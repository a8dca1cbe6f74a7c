"""Fixtures that write real audio files and toy corpora with the real file grammar, and a browser."""

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from filelock import FileLock

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side, a process per core; read when torch is imported
os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is fetched in tests; read when huggingface_hub is first imported
from ser_hf.corpora.synthetic import synthetic  # noqa: E402  # after the variables above

logging.getLogger("ser_hf").setLevel(logging.INFO)  # as commands do
SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Keep the cache of decoded audio out of the user's home."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("SER_HF_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def write_audio():
    """Write a tone, ``write_audio(path, seconds=…, frequency=…)``, and return its samples ``(T,)``."""
    return write_tone


@pytest.fixture(scope="session")
def toy_ravdess(tmp_path_factory):
    """RAVDESS in small: 6 actors, four emotions, two repetitions; the pitch tells the emotion."""
    root = tmp_path_factory.mktemp("ravdess")
    for actor in range(1, 7):
        for emotion in (1, 3, 4, 5):
            for repetition in (1, 2):
                name = f"03-01-{emotion:02d}-01-01-{repetition:02d}-{actor:02d}.wav"
                seconds = 0.4 + 0.05 * ((actor + repetition) % 4)
                write_tone(root / f"Actor_{actor:02d}" / name, seconds=seconds, frequency=150 * emotion + 5 * actor)
    return root


@pytest.fixture(scope="session")
def synthetic_corpus(tmp_path_factory):
    """The synthetic corpus, written once for the tests of all processes."""
    run = tmp_path_factory.getbasetemp()
    root = (run.parent if os.environ.get("PYTEST_XDIST_WORKER") else run) / "synthetic"
    with FileLock(f"{root}.lock"):
        next(synthetic(root))
    return root


@pytest.fixture(scope="session")
def shared():
    """The folder of real speech and real checkpoints; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("real speech (../shared) is not on this machine")
    return SHARED


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window; tests that need it skip where it is absent."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("no Chromium on this machine: install the system's package 'chromium'")
    microphone = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]  # beeps once a second
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=program, args=["--no-sandbox", *microphone])
        yield chromium
        chromium.close()


def write_tone(path, *, seconds=0.5, frequency=220.0, rate=16_000, channels=1, **options):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(round(seconds * rate)) / rate
    waveform = (0.3 * np.sin(2 * np.pi * frequency * times)).astype(np.float32)
    soundfile.write(path, np.repeat(waveform[:, None], channels, 1), rate, **options)
    return waveform
