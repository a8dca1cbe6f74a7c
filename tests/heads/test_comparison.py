"""Vectors for the heads: whose copies are made, who is normalised, and which layer is chosen."""

import numpy as np
import pytest
import torch
from architectures import feature_extractor, tiny_model
from datasets import concatenate_datasets

from ser_hf.data.hearing import Hearing
from ser_hf.heads import comparison
from ser_hf.heads.comparison import ProbeArguments, compare_heads, gather_features, name_speakers
from ser_hf.heads.embedder import Embedder
from ser_hf.models.checkpoint_loading import is_head
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.speech_data import load_speech
from ser_hf.training.components import make_augmentation

HEARING = Hearing("ends", 4.0, 0.25)


@pytest.fixture(scope="module")
def data(toy_ravdess):
    return DataArguments(corpus=["ravdess"], data_root=[str(toy_ravdess)], noise_snr=10.0, augment_probability=1.0)


@pytest.fixture(scope="module")
def parts(data):
    dataset = load_speech(data).dataset
    return concatenate_datasets([dataset["train"], dataset["validation"]]), dataset["test"]


@pytest.fixture
def spectra(monkeypatch):
    """Let three layers stand for the encoder: noise, the pitch (which tells the emotion), and noise again."""

    def compute(waveforms):
        rng = np.random.default_rng(len(waveforms))
        found = rng.normal(size=(len(waveforms), 3, 2, 4)).astype(np.float32)
        found[:, 1] = [np.full((2, 4), np.abs(np.fft.rfft(waveform, 16_000)).argmax()) for waveform in waveforms]
        return found

    monkeypatch.setattr(comparison, "_select_extractor", lambda kind, arguments: (compute, "spectra", {}, {}))


def probe(**options):
    return ProbeArguments(output_dir="out", processes=1, **options)


@pytest.mark.slow
def test_copies_are_changed_are_many_and_are_of_training_utterances_only(data, parts):
    train, test = parts
    (plain,) = gather_features(train, test, probe(), None, hearing=HEARING)
    (more,) = gather_features(train, test, probe(augmented_copies=2), make_augmentation(data), hearing=HEARING)
    assert more.train.shape == (3 * len(train), plain.train.shape[1])
    clean, first, second = np.split(more.train, 3)
    assert np.array_equal(clean, plain.train)
    for one, other in ((clean, first), (clean, second), (first, second)):
        assert (one != other).any(1).all()
    assert np.array_equal(more.test, plain.test)


def test_what_was_done_to_the_audio_is_stored_for_whoever_loads_the_head(parts):
    (found,) = gather_features(*parts, probe(), None, hearing=HEARING)
    assert {name: found.settings[name] for name in ("trim", "max_duration", "window_overlap")} == {
        "trim": "ends", "max_duration": 4.0, "window_overlap": 0.25,
    }  # fmt: skip


def test_every_speaker_is_normalised_by_that_speaker_alone(parts):
    (found,) = gather_features(*parts, probe(speaker_normalization=True), None, hearing=HEARING)
    for vectors, dataset in zip((found.train, found.test), parts, strict=True):
        speakers = np.array(name_speakers(dataset))
        for speaker in set(speakers):
            assert np.abs(vectors[speakers == speaker].mean(0)).max() < 1e-3
    assert np.abs(found.test).max() > 0.5


def test_the_layer_that_serves_new_training_speakers_is_chosen(parts, spectra):
    best, whole = gather_features(
        *parts, probe(features=["embedding"], model_name_or_path="encoder"), None, hearing=HEARING
    )
    assert (best.name, best.settings["layers"], best.test.shape[1]) == ("layer 1", [1], 8)
    assert (whole.name, whole.settings["layers"], whole.test.shape[1]) == ("all layers", [0, 1, 2], 24)


def test_copies_stay_with_their_utterance_where_speakers_are_unknown(data, parts):
    train = parts[0].remove_columns("speaker").add_column("speaker", [None] * len(parts[0]))
    train = train.remove_columns(["utterance", "label"]).add_column("utterance", list(range(len(train))))
    train = train.add_column("label", np.random.default_rng(0).integers(0, 2, len(train)).tolist())
    vectors = np.tile(np.random.default_rng(1).normal(size=(len(train), 50)), (3, 1)).astype(np.float32)
    features = comparison.FeatureSet("noise", vectors, vectors[:1], {})
    (candidate,) = compare_heads(features, train, probe(heads=["svm_linear"], augmented_copies=2))
    assert candidate.inner.score < 0.8  # 1.0 where a copy gives its utterance away


def test_an_encoder_without_a_head_is_known_again_and_another_one_is_not(tmp_path):
    model = tiny_model("whisper")
    identities, heads = [], []
    for seed, change in ((0, 0), (1, 0), (2, 1e-3)):
        weights = {name: weight + change for name, weight in model.state_dict().items() if not is_head(name)}
        model.save_pretrained(tmp_path, state_dict=weights)
        feature_extractor("whisper").save_pretrained(tmp_path)
        torch.manual_seed(seed)
        embedder = Embedder(str(tmp_path))
        identities.append(comparison._encoder_cache_key(embedder))
        heads.append(embedder.model.projector.weight)
    assert not torch.equal(heads[0], heads[1])
    assert identities[0] == identities[1] != identities[2]
