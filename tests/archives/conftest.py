"""A tiny model, an archive of calls, and a worker in this process."""

from concurrent.futures import Future

import pytest
from architectures import feature_extractor, tiny_model

from ser_hf.archives import plan
from ser_hf.archives.job import Settings
from ser_hf.archives.worker import ShardWorker
from ser_hf.cli import main
from ser_hf.serving import EmotionClassifier
from ser_hf.serving.predict import identify_model


class InlineWorker:
    """Run shards in this process, with the methods of `ser_hf.archives.running.Worker`."""

    def __init__(self, folder, **options):
        self.folder = folder

    def start(self):
        self.worker = ShardWorker(str(self.folder))
        return result_of(lambda: None)

    def run(self, shard, careful):
        return result_of(lambda: self.worker.run(shard, careful))

    def stop(self):
        pass


def result_of(function):
    future = Future()
    try:
        future.set_result(function())
    except Exception as error:
        future.set_exception(error)
    return future


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "whisper"
    tiny_model("whisper").save_pretrained(folder)
    feature_extractor("whisper").save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def description(model):
    return identify_model(EmotionClassifier.from_pretrained(model), str(model), "float32")


@pytest.fixture
def calls(tmp_path, write_audio):
    """A folder of seven files of about 10 to 16 kB, of which one is no audio, in two folders."""
    for i in range(6):
        write_audio(tmp_path / f"calls/day {i % 2}/{i}.wav", seconds=0.3 + 0.04 * i, frequency=150 + 60 * i)
    (tmp_path / "calls/day 0/text.wav").write_text("not audio" * 1_000)
    return tmp_path / "calls"


@pytest.fixture
def planned(model, description, calls, tmp_path):
    """Plan a job of the calls, ``planned(source, folder, rows=…)``, in shards of at most 30 kB."""

    def write(source=calls, folder=tmp_path / "job", **settings):
        described = description | {"speech": settings.get("speech", "energy")}
        options = {"name": str(model), "model": described, "settings": Settings(**settings)}
        plan(str(source), str(folder), shard_bytes=30_000, **options)
        return folder

    return write


@pytest.fixture
def archive(monkeypatch):
    """Run ``ser-hf archive`` in this process, with a worker in this process."""
    monkeypatch.setattr("ser_hf.archives.local_workers.LocalWorker", InlineWorker)
    return lambda *argv: main(["archive", *map(str, argv)])
