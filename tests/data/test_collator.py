import pickle

import numpy as np
import pytest
import torch
from transformers import (
    ASTFeatureExtractor,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2FeatureExtractor,
    WhisperFeatureExtractor,
)

from ser_hf.corpora import load_corpus
from ser_hf.data import (
    Collator,
    EpochRows,
    LengthGroupedSampler,
    SpectrogramMask,
    build_augmentation,
    build_dataset,
    extract_features,
    prepare_audio,
    split_by_speaker,
)
from ser_hf.data.mixup import Mixup
from ser_hf.data.sampler import evaluation_order

EXTRACTORS = {
    "wav2vec2": Wav2Vec2FeatureExtractor(return_attention_mask=True),
    "wav2vec2-bert": SeamlessM4TFeatureExtractor(),
    "whisper": WhisperFeatureExtractor(chunk_length=2),
    "ast": ASTFeatureExtractor(max_length=100),
}


@pytest.fixture(scope="module")
def dataset(toy_ravdess):
    split, _ = prepare_audio(split_by_speaker(load_corpus("ravdess", toy_ravdess)))
    return build_dataset(split, {"ravdess": toy_ravdess})


def rows(dataset, count=4):
    return [dataset[i] for i in range(count)]


def padding_multiplier(durations, order, batch_size):
    batches = np.asarray(durations)[order].reshape(-1, batch_size)
    return batches.max(1).sum() * batch_size / batches.sum()


@pytest.mark.parametrize("name", EXTRACTORS)
def test_one_collator_serves_every_kind_of_feature(dataset, name):
    batch = Collator(EXTRACTORS[name])(rows(dataset["train"]))
    assert batch["labels"].tolist() == dataset["train"]["label"][:4]
    features = batch["input_values"] if "input_values" in batch else batch["input_features"]
    assert features.shape[0] == 4
    assert features.isfinite().all()
    if name.startswith("wav2vec2"):
        assert batch["attention_mask"].shape[0] == 4
        assert len(set(batch["attention_mask"].sum(1).tolist())) > 1


@pytest.mark.parametrize("name", EXTRACTORS)
def test_audio_of_ten_milliseconds_gives_features(name):
    batch = extract_features(EXTRACTORS[name], [np.full(160, 0.1, np.float32), np.zeros(1, np.float32)])
    assert all(torch.isfinite(values).all() for values in batch.values())


@pytest.mark.parametrize(("samples", "padded"), [(100, 800), (500, 800), (900, 900)])
def test_features_are_padded_to_50_milliseconds_only(samples, padded):
    batch = extract_features(EXTRACTORS["wav2vec2"], [np.full(samples, 0.1, np.float32)])
    assert batch["input_values"].shape == (1, padded)


def test_the_collator_pads_training_rows_to_a_quarter_of_a_second(monkeypatch):
    monkeypatch.setattr("ser_hf.data.collator.load_row", lambda row: np.full(800, 0.1, np.float32))
    for split, samples in (("train", 4_000), ("validation", 800), ("test", 800)):
        batch = Collator(EXTRACTORS["wav2vec2"])([{"split": split, "label": 0, "index": 0}])
        assert batch["input_values"].shape == (1, samples)


def test_only_the_training_split_is_augmented_and_by_epoch(dataset):
    augment = build_augmentation(probability=1.0, noise_snr=5)
    plain, noisy = Collator(EXTRACTORS["wav2vec2"]), Collator(EXTRACTORS["wav2vec2"], augment=augment, seed=1)
    for part, same in (("train", False), ("validation", True)):
        clean = plain(rows(dataset[part]))["input_values"]
        assert torch.equal(clean, noisy(rows(dataset[part]))["input_values"]) is same
    first = noisy(rows(dataset["train"]))["input_values"]
    noisy.epoch.fill_(1)
    second = noisy(rows(dataset["train"]))["input_values"]
    noisy.epoch.fill_(0)
    assert not torch.equal(first, second)
    assert torch.equal(first, noisy(rows(dataset["train"]))["input_values"])


def test_a_collator_can_be_handed_to_another_process():
    collator = Collator(EXTRACTORS["wav2vec2"], augment=build_augmentation(gain=6), mask=SpectrogramMask())
    assert pickle.loads(pickle.dumps(collator)).augment is not None


def test_mixup_blends_training_utterances_and_their_labels_alike(dataset):
    collator = Collator(EXTRACTORS["whisper"], mixup=Mixup(0.5, 4), seed=1)
    batch, plain = collator(rows(dataset["train"])), Collator(EXTRACTORS["whisper"])(rows(dataset["train"]))
    assert batch["labels"].shape == (len(plain["labels"]), 4)
    assert batch["labels"].sum(1).numpy() == pytest.approx(1)
    assert not torch.equal(batch["input_features"], plain["input_features"])
    assert torch.equal(collator(rows(dataset["train"]))["labels"], batch["labels"])
    heard = collator(rows(dataset["validation"]))
    assert torch.equal(heard["labels"], Collator(EXTRACTORS["whisper"])(rows(dataset["validation"]))["labels"])


def test_a_blend_holds_both_utterances_by_their_shares_at_one_level():
    waveforms = [np.ones(4, np.float32), np.full(6, -10, np.float32)]
    for seed in range(9):
        (first, _), shares = Mixup(1.0, 2)(waveforms, [0, 1], seed=(seed,))
        share = float(shares[0, 0])
        if len(first) == 6:  # its partner is the other
            np.testing.assert_allclose(first, [2 * share - 1] * 4 + [share - 1] * 2, atol=1e-6)
        else:
            np.testing.assert_allclose(first, 1, atol=1e-6)


def test_augmentation_does_not_depend_on_the_batch(dataset):
    collator = Collator(EXTRACTORS["whisper"], augment=build_augmentation(probability=1.0, gain=6))
    together = collator(rows(dataset["train"]))["input_features"]
    assert torch.equal(together[2:3], collator([dataset["train"][2]])["input_features"])


@pytest.mark.parametrize("name", ["whisper", "ast"])
def test_spectrograms_are_masked_in_training_within_the_real_frames(dataset, name):
    mask = SpectrogramMask(time_prob=0.3, time_length=5, feature_prob=0.3, feature_length=4)
    plain, masked = Collator(EXTRACTORS[name]), Collator(EXTRACTORS[name], mask=mask)
    key = "input_features" if name == "whisper" else "input_values"
    clean, hidden = (collator(rows(dataset["train"]))[key] for collator in (plain, masked))
    assert 0.1 < (clean != hidden).float().mean() < 0.9
    same = (collator(rows(dataset["validation"]))[key] for collator in (plain, masked))
    assert torch.equal(*same)


def test_every_utterance_is_drawn_once_and_the_last_batch_is_full():
    sampler = LengthGroupedSampler(EpochRows(np.linspace(1, 9, 50), seed=0, epoch=torch.tensor(0)), 16)
    drawn = list(sampler)
    assert len(drawn) == len(sampler) == 64
    assert set(drawn) == set(range(50))


def test_the_order_depends_on_seed_and_epoch_only():
    def draw(seed, epoch):
        return list(LengthGroupedSampler(EpochRows(np.linspace(1, 9, 64), seed=seed, epoch=torch.tensor(epoch)), 8))

    assert draw(0, 0) == draw(0, 0)
    assert draw(0, 0) != draw(0, 1)
    assert draw(0, 0) != draw(1, 0)


@pytest.mark.parametrize("spread", [0.15, 0.7], ids=["like RAVDESS", "like IEMOCAP"])
def test_padding_costs_at_most_five_percent_at_batch_32(spread):
    durations = np.random.default_rng(0).lognormal(1.3, spread, 3200)
    order = list(LengthGroupedSampler(EpochRows(durations, seed=0, epoch=torch.tensor(0)), 32))
    assert padding_multiplier(durations, order, 32) < 1.05
    assert padding_multiplier(durations, np.random.default_rng(0).permutation(3200), 32) > 1.2


def test_evaluation_starts_with_the_longest_and_can_be_put_back():
    durations = [2.0, 5.0, 1.0, 5.0]
    order = evaluation_order(durations)
    assert order == [1, 3, 0, 2]
    assert np.array(durations)[order][np.argsort(order)].tolist() == durations
