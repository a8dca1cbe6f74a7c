import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from architectures import feature_extractor, tiny_model
from transformers import pipeline

from ser_hf.data.audio import SAMPLING_RATE, decode_audio
from ser_hf.data.hearing import Hearing
from ser_hf.heads.classifiers import Head, build_head
from ser_hf.heads.features import classical_features
from ser_hf.heads.head_files import save_head
from ser_hf.serving import EmotionClassifier

NAMES = ("wav2vec2-group", "hubert-layer", "wav2vec2-bert", "whisper", "audio-spectrogram-transformer", "sew")
EMOTIONS = ["angry", "happy", "neutral", "sad"]
RNG = np.random.default_rng(0)
WAVEFORMS = [RNG.normal(0, 0.1, samples).astype(np.float32) for samples in (16_000, 9_001, 4_000, 15_231, 5_120, 160)]
BAD = {
    "empty.wav": "holds no sample",
    "text.wav": "that it does not recognise",
    "nan.wav": "not finite",
    "missing.wav": "No such file",
    "silence.wav": "is silent",
}


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    """Write one folder for each architecture."""
    root = tmp_path_factory.mktemp("checkpoints")
    for name in NAMES:
        tiny_model(name).save_pretrained(root / name)
        feature_extractor(name).save_pretrained(root / name)
    return root


@pytest.fixture(scope="session")
def classifier(checkpoints):
    return EmotionClassifier.from_pretrained(checkpoints / "wav2vec2-group")


@pytest.fixture
def lot(tmp_path, write_audio):
    """Write good and bad files, and return their paths."""
    for i, seconds in enumerate((0.5, 0.01, 1.2, 0.8)):
        write_audio(tmp_path / f"lot/{i}.wav", seconds=seconds, frequency=150 * (i + 1), channels=1 + 7 * (i == 3))
    soundfile.write(tmp_path / "lot/silence.wav", np.zeros(8_000), 16_000)
    soundfile.write(tmp_path / "lot/empty.wav", np.zeros(0), 16_000)
    soundfile.write(tmp_path / "lot/nan.wav", np.array([0.1, np.nan] * 4_000), 16_000, subtype="FLOAT")
    (tmp_path / "lot/text.wav").write_text("not audio")
    return [*sorted(map(str, (tmp_path / "lot").iterdir())), str(tmp_path / "lot/missing.wav")]


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_equals_the_single_utterance_and_the_bare_pipeline(checkpoints, name):
    classifier = EmotionClassifier.from_pretrained(checkpoints / name)
    assert classifier.emotions == EMOTIONS
    batch = classifier.score(WAVEFORMS)
    single = np.concatenate([classifier.score([waveform]) for waveform in WAVEFORMS])
    assert np.abs(batch - single).max() < 1e-5
    assert np.ptp(batch, axis=0).max() > 0.05  # they do not all get the same answer
    stock = pipeline("audio-classification", str(checkpoints / name), top_k=None)
    for waveform, scores in zip(WAVEFORMS[:3], batch, strict=False):
        expected = {answer["label"]: answer["score"] for answer in stock(waveform)}
        assert dict(zip(EMOTIONS, scores, strict=True)) == pytest.approx(expected, abs=1e-5)


def test_paths_arrays_lists_generators_and_folders_are_answered_alike(classifier, write_audio, tmp_path):
    for i, seconds in enumerate((0.9, 0.4, 1.3)):
        write_audio(tmp_path / f"{i}.flac", seconds=seconds, frequency=200 * (i + 1), rate=22_050, channels=2)
    paths = sorted(tmp_path.iterdir())
    answer = classifier(paths[0])
    assert set(answer) == set(EMOTIONS)
    assert list(answer.values()) == sorted(answer.values(), reverse=True)
    assert sum(answer.values()) == pytest.approx(1)
    answers = classifier(paths)
    assert isinstance(answers, list)
    generated = classifier(path for path in paths)
    assert iter(generated) is generated
    predictions = list(classifier(tmp_path))
    assert [prediction.path for prediction in predictions] == list(map(str, paths))
    arrays = [soundfile.read(path)[0] for path in paths]  # (T, 2)
    for others in (
        generated,
        [prediction.scores for prediction in predictions],
        classifier(arrays, sampling_rate=22_050),
    ):
        for one, other in zip(answers, others, strict=True):
            assert list(one) == list(other)
            assert one == pytest.approx(other, abs=1e-4)
    assert classifier(torch.from_numpy(arrays[0]), sampling_rate=22_050) == pytest.approx(answer, abs=1e-4)
    assert answers[0] == pytest.approx(answer, abs=1e-6)


def test_the_same_audio_always_gets_the_same_answer(classifier):
    assert np.array_equal(classifier.score(WAVEFORMS), classifier.score(WAVEFORMS))


def test_a_bad_file_is_a_row_with_its_error_and_the_others_follow(classifier, lot):
    predictions = list(classifier.predict_files(lot, batch_size=2))
    assert [prediction.path for prediction in predictions] == lot
    for prediction in predictions:
        name = prediction.path.rsplit("/", 1)[1]
        if name in BAD:
            assert BAD[name] in prediction.error
            assert prediction.scores is prediction.emotion is None
        else:
            assert prediction.error is None
            assert prediction.emotion == max(prediction.scores, key=prediction.scores.get)
            assert prediction.scores == pytest.approx(classifier(prediction.path), abs=1e-5)
    assert predictions[1].duration == pytest.approx(0.01)


def test_a_call_raises_what_is_wrong(classifier, lot):
    with pytest.raises(FileNotFoundError, match="missing"):
        classifier(lot[-1])
    with pytest.raises(ValueError, match="does not recognise"):
        classifier([lot[0], lot[-2]])
    with pytest.raises(ValueError, match="sampling_rate"):
        classifier(WAVEFORMS[0])
    with pytest.raises(TypeError, match="paths or arrays, found float"):
        classifier([0.1, 0.2])


def test_a_stretch_of_a_file_is_predicted(classifier, write_audio, tmp_path):
    path = tmp_path / "a.wav"
    write_audio(path, seconds=2.0)
    (prediction,) = classifier.predict_files([(str(path), 0.5, 1.25)])
    assert (prediction.start, prediction.end, prediction.duration) == (0.5, 1.25, 0.75)
    expected = classifier.score([decode_audio(path, start=0.5, end=1.25)])[0]
    assert [prediction.scores[emotion] for emotion in EMOTIONS] == pytest.approx(expected.tolist(), abs=1e-6)


def test_audio_beyond_the_context_is_heard_in_overlapping_windows(checkpoints, tmp_path):
    classifier = EmotionClassifier.from_pretrained(checkpoints / "whisper")  # 2 s
    assert classifier.hearing.max_duration == 2.0
    waveform = (RNG.normal(0, 0.1, 5 * SAMPLING_RATE) * np.linspace(0.01, 1, 5 * SAMPLING_RATE)).astype(np.float32)
    windows = [waveform[i * 16_000 :][:32_000] for i in range(4)]
    expected = np.mean([classifier.score([window])[0] for window in windows], axis=0)
    assert np.allclose(classifier.score([waveform])[0], expected, atol=1e-6)
    assert np.abs(classifier.score([waveform[:32_000]])[0] - expected).max() > 1e-3  # it is not just cut
    soundfile.write(tmp_path / "a.wav", waveform, SAMPLING_RATE)
    answer = classifier(tmp_path / "a.wav")
    assert [answer[emotion] for emotion in EMOTIONS] == pytest.approx(expected.tolist(), abs=1e-4)


def test_silence_and_windows_are_treated_as_the_config_recommends(checkpoints, tmp_path):
    folder = shutil.copytree(checkpoints / "wav2vec2-group", tmp_path / "copy")
    recommended = {"trim": "ends", "max_duration": 1.0, "window_overlap": 0.25}
    config = json.loads((folder / "config.json").read_text()) | {"recommended_preprocessing": recommended}
    (folder / "config.json").write_text(json.dumps(config))
    classifier = EmotionClassifier.from_pretrained(folder, preprocessing="recommended")
    assert classifier.hearing == Hearing("ends", 1.0, 0.25)
    quiet = np.zeros(16_000, np.float32)
    speech = RNG.normal(0, 0.1, 24_000).astype(np.float32)
    waveform = np.concatenate([quiet, speech, quiet])
    trimmed = Hearing("ends").trim_silence(waveform)
    assert 24_000 <= len(trimmed) < 30_000
    assert np.array_equal(classifier.trim(waveform), trimmed)
    spans = Hearing("ends", 1.0, 0.25).list_windows(len(trimmed) / SAMPLING_RATE)
    windows = [trimmed[round(first * SAMPLING_RATE) : round(last * SAMPLING_RATE)] for first, last in spans]
    expected = np.mean(classifier.score(windows), axis=0).tolist()
    soundfile.write(tmp_path / "a.wav", waveform, SAMPLING_RATE, subtype="FLOAT")
    for answer in (classifier(waveform, sampling_rate=SAMPLING_RATE), classifier(tmp_path / "a.wav")):
        assert [answer[emotion] for emotion in EMOTIONS] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("size", [0, -1, 2.5, "8"])
def test_a_batch_size_below_one_is_refused(classifier, tmp_path, size):
    for call in (
        lambda: classifier.score(WAVEFORMS, batch_size=size),
        lambda: classifier(tmp_path, batch_size=size),
        lambda: list(classifier.predict_files(["a.wav"], batch_size=size)),
    ):
        with pytest.raises(ValueError, match=f"batch_size: expected an integer of at least 1, found {size!r}"):
            call()


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.zeros(8_000, np.int16), "found int16. Divide integers"),
        (np.array([0.1, np.nan] * 4_000), "found NaN or infinity"),
        (np.full(8_000, 3_000.0), "found a peak of 3000"),
        (np.zeros(0, np.float32), r"mono waveforms \(T,\).*found shape \(0,\)"),
        (np.zeros((8_000, 2), np.float32), r"found shape \(8000, 2\)"),
    ],
)
def test_waveforms_that_are_no_sound_are_not_scored(classifier, waveform, message):
    with pytest.raises(ValueError, match=message):
        classifier.score([WAVEFORMS[0], waveform])


def test_bfloat16_stays_within_its_tolerance(checkpoints, classifier):
    half = EmotionClassifier.from_pretrained(checkpoints / "wav2vec2-group", dtype="bfloat16")
    difference = np.abs(half.score(WAVEFORMS) - classifier.score(WAVEFORMS)).max()
    assert 0 < difference < 0.05


def write_probe(folder, **features):
    waveforms = [RNG.normal(0, level, 8_000).astype(np.float32) for level in (0.01, 0.02, 0.2, 0.3) * 2]
    vectors = np.stack([classical_features(waveform).to_numpy() for waveform in waveforms])
    pipe = build_head("svm_linear").fit(vectors, [0, 0, 1, 1] * 2)
    features = {"kind": "classical", "trim": "ends", "speaker_normalization": False} | features
    save_head(Head("svm_linear", pipe, 1.0, {}, 0.5), folder, emotions=["calm", "angry"], features=features)
    return waveforms


def test_a_probe_is_a_classifier_too(tmp_path):
    waveforms = write_probe(tmp_path)
    classifier = EmotionClassifier.from_pretrained(tmp_path)
    assert (classifier.backend, classifier.hearing.trim) == ("probe", "ends")
    answers = classifier(waveforms, sampling_rate=16_000)
    assert [next(iter(answer)) for answer in answers] == ["calm", "calm", "angry", "angry"] * 2


def test_a_probe_on_embeddings_loads_its_encoder(checkpoints, tmp_path):
    encoder = str(checkpoints / "whisper")
    vectors = RNG.normal(0, 1, (8, 2 * 2 * 16))
    pipe = build_head("svm_linear").fit(vectors, [0, 0, 1, 1] * 2)
    features = {"kind": "embedding", "speaker_normalization": False, "model_name_or_path": encoder, "layers": [0, 2]}
    save_head(Head("svm_linear", pipe, 1.0, {}, 0.5), tmp_path, emotions=["calm", "angry"], features=features)
    classifier = EmotionClassifier.from_pretrained(tmp_path)
    assert classifier.hearing.max_duration == 2.0
    scores = classifier.score(WAVEFORMS)
    assert np.allclose(scores.sum(1), 1)
    assert np.allclose(scores[1], classifier.score(WAVEFORMS[1:2])[0], atol=1e-5)


def test_a_probe_that_needs_the_whole_speaker_is_refused(tmp_path):
    write_probe(tmp_path, speaker_normalization=True)
    with pytest.raises(ValueError, match="cannot score single utterances"):
        EmotionClassifier.from_pretrained(tmp_path)


def test_unequal_lengths_are_not_padded_where_the_model_cannot_tell(classifier):
    lengths = []

    def run(batch):
        lengths.append([len(waveform) for waveform in batch])
        return classifier._backend.run(batch)

    for pads, batches in ((True, 2), (False, 6)):
        lengths.clear()
        probe = EmotionClassifier(replace(classifier._backend, run=run, pads=pads), Hearing())
        probe.score(WAVEFORMS, batch_size=4)
        assert len(lengths) == batches
        assert sum(lengths, []) == sorted(map(len, WAVEFORMS), reverse=True)


def test_a_folder_without_a_checkpoint_is_refused_before_transformers_reads_it(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="Expected a checkpoint with config.json, found the folder '.*' without"
    ):
        EmotionClassifier.from_pretrained(tmp_path)
