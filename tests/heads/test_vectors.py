import numpy as np
import pandas
import pytest

from ser_hf.corpora import load_corpus
from ser_hf.data import build_augmentation, build_dataset, prepare_audio, split_by_speaker
from ser_hf.heads.vectors import compute_vectors, write_vectors

CALLS = []


def describe(waveforms):
    """Length and power, ``(B, 2, 1)``: what a test can compute by hand."""
    CALLS.append(len(waveforms))
    return np.array([[[len(waveform)], [np.mean(waveform**2)]] for waveform in waveforms], dtype=np.float32)


def broken(waveforms):
    return np.full((len(waveforms), 2), np.nan)


@pytest.fixture(scope="module")
def dataset(toy_ravdess):
    split, _ = prepare_audio(split_by_speaker(load_corpus("ravdess", toy_ravdess)))
    return build_dataset(split, {"ravdess": toy_ravdess})["train"]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SER_HF_CACHE", str(tmp_path / "cache"))
    CALLS.clear()


def test_vectors_come_in_the_order_of_the_dataset(dataset):
    vectors = compute_vectors(dataset, describe, identity="a", batch_size=5)
    assert vectors.shape == (len(dataset), 2, 1)
    np.testing.assert_allclose(vectors[:, 0, 0] / 16_000, dataset["duration"], atol=1e-4)
    assert max(CALLS) == 5


@pytest.mark.slow
def test_processes_give_what_one_gives(dataset):
    def measure(waveforms):
        return np.array([[waveform.std(), len(waveform)] for waveform in waveforms])

    one = compute_vectors(dataset, measure, identity="a", batch_size=5)
    np.testing.assert_array_equal(compute_vectors(dataset, measure, identity="b", batch_size=5, processes=2), one)


def test_the_same_waveforms_are_computed_once(dataset):
    one = compute_vectors(dataset, describe, identity="a")
    CALLS.clear()
    np.testing.assert_array_equal(compute_vectors(dataset, describe, identity="a"), one)
    assert not CALLS
    compute_vectors(dataset, describe, identity="another version")
    assert sum(CALLS) == len(dataset)


def test_augmented_copies_are_vectors_of_their_own_and_the_same_each_time(dataset):
    plain = compute_vectors(dataset, describe, identity="a")
    augment = build_augmentation(probability=1.0, gain=12)
    copies = [compute_vectors(dataset, describe, identity="a", augment=augment, seed=(0, i)) for i in (1, 2)]
    assert not np.allclose(copies[0][:, 1], plain[:, 1])
    assert not np.allclose(copies[0], copies[1])
    again = compute_vectors(dataset, describe, identity="b", augment=augment, seed=(0, 1))
    np.testing.assert_array_equal(again, copies[0])


def test_all_files_without_a_finite_vector_are_named_and_none_is_kept(dataset, tmp_path):
    with pytest.raises(ValueError, match="No finite vector of") as caught:
        compute_vectors(dataset, broken, identity="a")
    assert all(f"'{path}': not finite" in str(caught.value) for path in dataset["path"])
    assert not list((tmp_path / "cache" / "vectors").rglob("*.parquet"))


def test_a_feature_that_fails_names_its_files_alone_and_the_others_are_kept(dataset):
    def fail(waveforms):
        if any(len(waveform) == shortest for waveform in waveforms):
            raise ZeroDivisionError("no frames")
        return describe(waveforms)

    lengths = compute_vectors(dataset, describe, identity="a")[:, 0, 0]
    shortest = lengths.min()
    guilty = (lengths == shortest).sum()
    assert 0 < guilty < len(dataset)
    CALLS.clear()
    with pytest.raises(ValueError, match=f"^No finite vector of {guilty} file") as caught:
        compute_vectors(dataset, fail, identity="b", batch_size=4)
    for path, length in zip(dataset["path"], lengths, strict=True):
        assert (f"'{path}': ZeroDivisionError: no frames" in str(caught.value)) == (length == shortest)
    CALLS.clear()
    compute_vectors(dataset, describe, identity="b")
    assert sum(CALLS) == guilty


def test_what_is_no_fault_of_a_file_is_raised_as_it_is(dataset):
    def lack(waveforms):
        raise ImportError("pip install opensmile")

    with pytest.raises(ImportError, match="pip install opensmile"):
        compute_vectors(dataset, lack, identity="a")


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped"])
def test_a_damaged_file_of_the_cache_is_computed_anew(dataset, tmp_path, caplog, damage):
    vectors = compute_vectors(dataset, describe, identity="a")
    (path,) = (tmp_path / "cache" / "vectors").rglob("*.parquet")
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes({"empty": b"", "cut": content[:-9], "flipped": content}[damage])
    CALLS.clear()
    np.testing.assert_array_equal(compute_vectors(dataset, describe, identity="a"), vectors)
    assert sum(CALLS) == len(dataset)
    assert "is damaged" in caplog.text
    CALLS.clear()
    np.testing.assert_array_equal(compute_vectors(dataset, describe, identity="a"), vectors)
    assert not CALLS


def test_pandas_reads_the_table(dataset, tmp_path):
    vectors = compute_vectors(dataset, describe, identity="a")
    write_vectors(dataset, vectors, tmp_path / "vectors.parquet")
    table = pandas.read_parquet(tmp_path / "vectors.parquet")
    assert table["emotion"].tolist() == dataset["emotion"]
    np.testing.assert_array_equal(np.stack(table["vector"]), vectors.reshape(len(dataset), -1))
