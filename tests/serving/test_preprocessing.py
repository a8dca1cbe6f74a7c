import json
import math

import numpy as np
import pytest
import soundfile
from architectures import feature_extractor, tiny_model
from transformers import AutoModelForAudioClassification, pipeline

from ser_hf.data import decode_audio
from ser_hf.data.hearing import Hearing
from ser_hf.heads.classifiers import Head, build_head
from ser_hf.heads.features import classical_features
from ser_hf.heads.head_files import save_head
from ser_hf.models.checkpoint_loading import default_feature_extractor
from ser_hf.models.configuration_mel import MelConfig
from ser_hf.serving import EmotionClassifier
from ser_hf.serving.preprocessing import read_preprocessing

RATE = 16_000
RNG = np.random.default_rng(0)
QUIET = np.zeros(6_000, np.float32)
SPEECH = (RNG.normal(0, 0.2, 16_000) * np.linspace(0.1, 1, 16_000)).astype(np.float32)
AUDIO = {
    "silence around": np.concatenate([QUIET, SPEECH, QUIET]),
    "50 ms": SPEECH[8_000:8_800],
    "peaks above 1": np.float32(3) * SPEECH,
}
RECOMMENDED = {"trim": "ends", "max_duration": 1.0, "window_overlap": 0.25}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Write a Whisper (context 2 s), a wav2vec2 and a mel model, of random weights."""
    root = tmp_path_factory.mktemp("checkpoints")
    for name in ("whisper", "wav2vec2-group"):
        tiny_model(name).save_pretrained(root / name)
        feature_extractor(name).save_pretrained(root / name)
    config = MelConfig(num_labels=4, conv_channels=[4, 4], hidden_size=8, num_recurrent_layers=1, keep_level=True)
    AutoModelForAudioClassification.from_config(config).eval().save_pretrained(root / "mel")
    default_feature_extractor(config).save_pretrained(root / "mel")
    return root


@pytest.fixture
def write_config(tmp_path):
    """Write a config.json, ``write_config(key=value, …)``, and return its folder."""

    def write(**values):
        (tmp_path / "config.json").write_text(json.dumps(values))
        return str(tmp_path)

    return write


def bare(folder, waveform):
    stock = pipeline("audio-classification", str(folder), top_k=None)
    return {answer["label"]: answer["score"] for answer in stock(waveform)}


@pytest.mark.parametrize("audio", AUDIO)
@pytest.mark.parametrize("name", ["whisper", "wav2vec2-group", "mel"])
def test_the_default_answer_is_that_of_the_bare_pipeline(checkpoints, tmp_path, name, audio):
    soundfile.write(tmp_path / "a.wav", AUDIO[audio], RATE, subtype="FLOAT")
    expected = bare(checkpoints / name, AUDIO[audio])
    assert np.ptp(list(expected.values())) > 1e-3
    classifier = EmotionClassifier.from_pretrained(checkpoints / name)
    assert classifier(tmp_path / "a.wav") == pytest.approx(expected, abs=1e-6)
    assert classifier(AUDIO[audio], sampling_rate=RATE) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (8_000, 1)])
def test_pipeline_decodes_a_file_as_the_other_choices_do(checkpoints, tmp_path, rate, channels):
    soundfile.write(tmp_path / "a.wav", RNG.normal(0, 0.2, (rate, channels)), rate, subtype="FLOAT")
    expected = bare(checkpoints / "wav2vec2-group", decode_audio(tmp_path / "a.wav"))
    for choice in ("pipeline", "windows"):
        classifier = EmotionClassifier.from_pretrained(checkpoints / "wav2vec2-group", preprocessing=choice)
        assert classifier(tmp_path / "a.wav") == pytest.approx(expected, abs=1e-5)


def test_pipeline_cuts_at_the_context_and_windows_do_not(checkpoints, tmp_path):
    long = np.concatenate([np.float32(0.01) * SPEECH, SPEECH, QUIET, SPEECH])  # 3.4 s
    soundfile.write(tmp_path / "a.wav", long, RATE, subtype="FLOAT")
    folder = checkpoints / "whisper"
    cut, windows = (EmotionClassifier.from_pretrained(folder, preprocessing=each) for each in ("pipeline", "windows"))
    assert cut(tmp_path / "a.wav") == pytest.approx(bare(folder, long), abs=1e-6)
    assert cut(tmp_path / "a.wav") == pytest.approx(cut(long[: 2 * RATE], sampling_rate=RATE), abs=1e-6)
    pieces = [windows.score([long[round(start * RATE) :][: 2 * RATE]])[0] for start in (0, 0.6875, 1.375)]
    assert windows.score([long])[0] == pytest.approx(np.mean(pieces, axis=0), abs=1e-5)
    assert np.abs(windows.score([long]) - cut.score([long])).max() > 1e-3


def test_without_a_context_pipeline_is_whole_and_windows_last_30_seconds(checkpoints):
    def preprocessing(name, choice):
        return EmotionClassifier.from_pretrained(checkpoints / name, preprocessing=choice).hearing

    assert preprocessing("wav2vec2-group", "pipeline") == ("none", math.inf, 0.5, "energy")
    assert preprocessing("wav2vec2-group", "windows") == ("none", 30.0, 0.5, "energy")
    assert preprocessing("whisper", "pipeline") == ("none", math.inf, 0.5, "energy")
    assert preprocessing("whisper", "windows") == ("none", 2.0, 0.5, "energy")


def test_recommended_is_what_the_config_says_within_the_context(write_config):
    folder = write_config(recommended_preprocessing=RECOMMENDED)
    assert read_preprocessing(folder, "recommended") == ("ends", 1.0, 0.25, "energy")
    assert read_preprocessing(folder, "recommended", context=0.5) == ("ends", 0.5, 0.25, "energy")
    assert read_preprocessing(folder, "windows") == ("none", 30.0, 0.5, "energy")


def test_recommended_without_a_recommendation_is_refused(write_config):
    with pytest.raises(ValueError, match="expected recommended_preprocessing in config.json .* found none. Use 'wind"):
        read_preprocessing(write_config(), "recommended")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trim": "all"}, r"trim: expected one of \['none', 'ends', 'pauses'\], found 'all'"),
        ({"trim": None}, "trim: expected one of"),
        ({"max_duration": 0.9}, "max_duration: expected 1 to 86400, found 0.9"),
        ({"max_duration": 86_401}, "max_duration: expected 1 to 86400, found 86401"),
        ({"max_duration": "30"}, "max_duration: expected 1 to 86400, found '30'"),
        ({"max_duration": math.nan}, "found NaN, which is not a number"),
        ({"window_overlap": -0.1}, "window_overlap: expected 0 to 0.9, found -0.1"),
        ({"window_overlap": 0.91}, "window_overlap: expected 0 to 0.9, found 0.91"),
        ({"window_overlap": True}, "window_overlap: expected 0 to 0.9, found True"),
        ({"overlap": 0.5}, "expected the keys"),
    ],
)
def test_a_recommendation_out_of_range_is_refused_by_name(write_config, change, message):
    with pytest.raises(ValueError, match=message):
        read_preprocessing(write_config(recommended_preprocessing=RECOMMENDED | change), "recommended")


@pytest.mark.parametrize("values", [[], "ends", {"trim": "ends"}])
def test_a_recommendation_without_its_keys_is_refused(write_config, values):
    with pytest.raises(ValueError, match="expected the keys"):
        read_preprocessing(write_config(recommended_preprocessing=values), "recommended")


def test_an_unknown_choice_names_the_three_before_anything_is_loaded():
    with pytest.raises(ValueError, match=r"expected one of \['pipeline', 'windows', 'recommended'\], found 'none'"):
        EmotionClassifier.from_pretrained("somebody/model", preprocessing="none")


@pytest.mark.parametrize("choice", ["pipeline", "windows", "recommended"])
def test_a_probe_keeps_the_preprocessing_of_its_head(tmp_path, choice):
    waveforms = [RNG.normal(0, level, 8_000).astype(np.float32) for level in (0.01, 0.02, 0.2, 0.3) * 2]
    vectors = np.stack([classical_features(waveform).to_numpy() for waveform in waveforms])
    pipe = build_head("svm_linear").fit(vectors, [0, 0, 1, 1] * 2)
    features = {"kind": "classical", "trim": "pauses", "speaker_normalization": False}
    save_head(Head("svm_linear", pipe, 1.0, {}, 0.5), tmp_path, emotions=["calm", "angry"], features=features)
    classifier = EmotionClassifier.from_pretrained(tmp_path, preprocessing=choice)
    assert classifier.hearing == Hearing("pauses", 30.0, 0.5)


def test_an_infinite_window_is_none_in_json():
    described = {"trim": "none", "max_duration": None, "window_overlap": 0.5, "speech": "energy"}
    assert Hearing(max_duration=math.inf).describe() == described
    described = {"trim": "ends", "max_duration": 8.0, "window_overlap": 0.2, "speech": "silero"}
    assert Hearing("ends", 8.0, 0.2, "silero").describe() == described
