"""A tiny model and files for `ser-hf predict`; commands score files with the stock pipeline of the tests' process."""

import pytest
from architectures import feature_extractor, tiny_model
from stock_pipeline import fresh_process, pipeline_in_this_process  # noqa: F401

from ser_hf.serving import EmotionClassifier


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "whisper"
    tiny_model("whisper").save_pretrained(folder)
    feature_extractor("whisper").save_pretrained(folder)
    return folder


@pytest.fixture
def calls(tmp_path, write_audio):
    """A folder of twelve files, of which one is no audio."""
    for i in range(11):
        write_audio(tmp_path / f"calls/day {i % 2}/{i:02d}.wav", seconds=0.3 + 0.02 * i, frequency=150 + 40 * i)
    (tmp_path / "calls/text.wav").write_text("not audio")
    return tmp_path / "calls"


@pytest.fixture
def asked(monkeypatch):
    """Collect the paths that are predicted; ``asked.stop_after`` of them, Ctrl+C is pressed."""
    predict_files = EmotionClassifier.predict_files

    class Asked(list):
        stop_after = None

    paths = Asked()

    def spy(self, keys, **options):
        for prediction in predict_files(self, keys, **options):
            if len(paths) == paths.stop_after:
                raise KeyboardInterrupt
            paths.append(prediction.path)
            yield prediction

    monkeypatch.setattr(EmotionClassifier, "predict_files", spy)
    return paths
