import logging
import shutil

import numpy as np
import pytest
import soundfile
from architectures import feature_extractor, tiny_model
from transformers import pipeline
from voices import RATE, say, write_voice_checkpoint

from ser_hf.heads.voice import fit_voice_head
from ser_hf.heads.voice_files import save_voice_head
from ser_hf.publishing.adapted import save_adapted
from ser_hf.publishing.doctor import examine
from ser_hf.serving import EmotionClassifier


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_voice_checkpoint(tmp_path_factory.mktemp("voices") / "whisper", "whisper")


@pytest.fixture(scope="module")
def clips():
    return [say(11, emotion, seed) for emotion in range(4) for seed in range(4)]


@pytest.fixture
def written(clips, tmp_path):
    for i, clip in enumerate(clips):
        soundfile.write(tmp_path / f"clip_{i:02d}.wav", clip, RATE, subtype="FLOAT")
    return tmp_path


@pytest.mark.parametrize("name", ["whisper", pytest.param("wav2vec2-group", marks=pytest.mark.slow)])
def test_the_saved_model_of_a_voice_answers_alike_in_the_bare_pipeline(name, clips, tmp_path):
    classifier = EmotionClassifier.from_pretrained(write_voice_checkpoint(tmp_path / name, name))
    before = classifier.score(clips)
    adapted = classifier.adapt(clips, sampling_rate=RATE)
    scores = adapted.score(clips)
    assert np.abs(scores - before).max() > 0.1
    np.testing.assert_array_equal(classifier.score(clips), before)  # the original is unchanged
    save_adapted(adapted, tmp_path / "voice")
    again = EmotionClassifier.from_pretrained(tmp_path / "voice")
    assert np.abs(again.score(clips) - scores).max() < 1e-5
    stock = pipeline("audio-classification", str(tmp_path / "voice"), top_k=None)
    for clip, expected in zip(clips, scores, strict=True):
        answer = {item["label"]: item["score"] for item in stock(clip)}
        assert answer == pytest.approx(dict(zip(classifier.emotions, expected, strict=True)), abs=1e-5)
    assert again.uncertainty_threshold is None  # it was that of the other head
    assert all(check.passed for check in examine(tmp_path / "voice"))


def test_a_voice_is_recognised_better_by_its_own_model(checkpoint, clips):
    classifier = EmotionClassifier.from_pretrained(checkpoint)
    labels = np.repeat(np.arange(4), 4)
    own = classifier.adapt(clips[::2], sampling_rate=RATE)
    assert (own.score(clips)[1::2].argmax(1) == labels[1::2]).mean() > 0.7  # a quarter by chance
    again = own.adapt(clips[::2], sampling_rate=RATE)  # starts from the original
    np.testing.assert_allclose(again.score(clips), own.score(clips), atol=1e-5)


def test_labels_are_those_of_their_clips(checkpoint, clips):
    classifier = EmotionClassifier.from_pretrained(checkpoint)
    labels = np.repeat(np.arange(4), 4)
    right = [classifier.emotions[label] for label in labels]
    scores = []
    for emotions in ([*right[:3], None, *right[4:]], [], ["sad"] * 16):
        adapted = classifier.adapt(clips, sampling_rate=RATE, emotions=emotions)
        scores.append(np.log(adapted.score(clips)[np.arange(16), labels]).mean())
    assert scores[0] > scores[1] > scores[2] + 1
    assert adapted.checkpoint.model.config.adapted_voice["labelled"] == 16


@pytest.mark.parametrize(
    ("emotions", "message"),
    [
        (["sad"], "expected one for each of 16 clips, found 1"),
        (["sad"] * 15 + ["joy"], r"expected some of .* or None, found \['joy'\]"),
    ],
)
def test_labels_that_do_not_fit_are_refused(checkpoint, clips, emotions, message):
    with pytest.raises(ValueError, match=message):
        EmotionClassifier.from_pretrained(checkpoint).adapt(clips, sampling_rate=RATE, emotions=emotions)


def test_folders_files_and_arrays_are_the_same_clips(checkpoint, clips, written):
    classifier = EmotionClassifier.from_pretrained(checkpoint)
    expected = classifier.adapt(clips, sampling_rate=RATE).score(clips)
    paths = sorted(written.iterdir())
    for same in (written, paths, [written], [paths[0], *paths[1:]]):
        np.testing.assert_allclose(classifier.adapt(same).score(clips), expected, atol=1e-3)


def test_bad_clips_are_listed_and_left_out(checkpoint, clips, written, caplog):
    classifier = EmotionClassifier.from_pretrained(checkpoint)
    expected = classifier.adapt(written)
    soundfile.write(written / "silent.wav", np.zeros(RATE), RATE)
    (written / "text.wav").write_text("not audio")
    with caplog.at_level(logging.WARNING):
        found = classifier.adapt(written)
    assert "Left out 2 clips" in caplog.text
    assert "silent.wav': is silent" in caplog.text and "text.wav" in caplog.text
    assert found.checkpoint.model.config.adapted_voice == {
        "clips": 16, "labelled": 0, "seconds": 16.0, "prior_correction": False,
    }  # fmt: skip
    np.testing.assert_allclose(found.score(clips), expected.score(clips), atol=1e-5)


def test_clips_of_several_voices_are_named_with_the_evidence(checkpoint, written, caplog):
    classifier = EmotionClassifier.from_pretrained(checkpoint)
    with caplog.at_level(logging.WARNING):
        classifier.adapt(written)
        assert "several voices" not in caplog.text
        for emotion in range(4):
            soundfile.write(written / f"other_{emotion}.wav", say(0, emotion, 9), RATE, subtype="FLOAT")
        classifier.adapt(written)
    assert "The clips may be of several voices" in caplog.text
    assert "95 % of single training speakers are below" in caplog.text
    assert "other_0.wav" in caplog.text


def test_a_path_at_which_there_is_nothing_is_an_error(checkpoint, tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a folder or an audio file, found nothing at '.*nothere'"):
        EmotionClassifier.from_pretrained(checkpoint).adapt(tmp_path / "nothere")


def test_too_little_audio_is_an_error_before_the_model_is_loaded_again(checkpoint, clips, tmp_path, monkeypatch):
    classifier = EmotionClassifier.from_pretrained(checkpoint)
    monkeypatch.delattr("ser_hf.serving.adaptation.load_trained")
    with pytest.raises(ValueError, match=r"at least 3 s of speech of one voice, found 2.0 s in 2 usable clips"):
        classifier.adapt(clips[:2], sampling_rate=RATE)
    soundfile.write(tmp_path / "silent.wav", np.zeros(5 * RATE), RATE)
    with pytest.raises(ValueError, match=r"found 0.0 s in 0 usable clips"):
        classifier.adapt(tmp_path)


def test_a_long_recording_is_split_into_clips(checkpoint):
    classifier = EmotionClassifier.from_pretrained(checkpoint)  # its context is 2 s
    talk = np.concatenate([say(11, emotion, 0) for emotion in (0, 1, 2, 3) * 2])
    voice = classifier.adapt([talk], sampling_rate=RATE).checkpoint.model.config.adapted_voice
    assert (voice["clips"], voice["seconds"]) == (4, 8.0)  # of 2 s, without overlap


def test_a_model_without_a_head_for_known_voices_says_how_to_get_one(checkpoint, clips, tmp_path):
    shutil.copytree(checkpoint, tmp_path / "plain")
    (tmp_path / "plain/voice.safetensors").unlink()
    with pytest.raises(ValueError, match="has no voice.safetensors, .* Train it with --voice_head true"):
        EmotionClassifier.from_pretrained(tmp_path / "plain").adapt(clips, sampling_rate=RATE)


def test_a_head_of_another_training_is_refused(checkpoint, clips, tmp_path):
    shutil.copytree(checkpoint, tmp_path / "mixed")
    save_voice_head(fit_voice_head(np.random.default_rng(0).normal(size=(40, 5)), [0, 1] * 20, list("abcd") * 10),
                    tmp_path / "mixed")  # fmt: skip
    with pytest.raises(ValueError, match="is for 5 inputs and 2 emotions, the model has 16 and 4"):
        EmotionClassifier.from_pretrained(tmp_path / "mixed").adapt(clips, sampling_rate=RATE)


def test_a_head_that_is_not_linear_and_another_backend_are_refused(clips, tmp_path):
    name = "audio-spectrogram-transformer"
    tiny_model(name).save_pretrained(tmp_path)
    feature_extractor(name).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=f"The head of '{name}' .* so it is not linear"):
        EmotionClassifier.from_pretrained(tmp_path).adapt(clips, sampling_rate=RATE)


def test_only_an_adapted_classifier_is_saved_and_only_into_a_new_folder(checkpoint, clips, written):
    classifier = EmotionClassifier.from_pretrained(checkpoint)
    with pytest.raises(ValueError, match="Expected a classifier for one voice"):
        save_adapted(classifier, written / "new")
    with pytest.raises(FileExistsError, match="is not empty: expected a new folder"):
        save_adapted(classifier.adapt(clips, sampling_rate=RATE), written)


def test_with_the_prior_correction_frequent_emotions_get_higher_scores(checkpoint):
    classifier = EmotionClassifier.from_pretrained(checkpoint)
    mostly = [say(11, 3, seed) for seed in range(20)] + [say(11, emotion, 0) for emotion in range(3)]
    plain, corrected = (classifier.adapt(mostly, sampling_rate=RATE, prior_correction=each) for each in (False, True))
    odds = [np.diff(np.log(model.score(mostly)[:, [0, 3]]))[:, 0] for model in (plain, corrected)]
    assert (odds[1] - odds[0]).min() > 0.5
    assert np.ptp(odds[1] - odds[0]) < 1e-3  # the same for all clips: a bias
    assert corrected.checkpoint.model.config.adapted_voice["prior_correction"] is True
