import random

import numpy as np
import pytest

from ser_hf.data import build_augmentation

WAVEFORM = np.sin(np.arange(16_000) * 0.1).astype(np.float32) * 0.3
CHANGES = {
    "noise_snr": 5, "time_shift": 0.2, "gain": 6, "pitch": 2, "tempo": 0.2, "speed": 0.2, "reverb": True,
    "telephone": True, "codec": True,
}  # fmt: skip


def test_nothing_asked_for_is_no_augmentation():
    assert build_augmentation() is None


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_changes_the_waveform(change):
    augment = build_augmentation(probability=1.0, **{change: CHANGES[change]})
    changed = augment(WAVEFORM, (0, 0, 0))
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()
    assert changed.shape != WAVEFORM.shape or not np.allclose(changed, WAVEFORM)


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_seed_gives_the_same_waveform_and_another_epoch_another(change):
    augment = build_augmentation(probability=1.0, **{change: CHANGES[change]})
    first, other, again = (augment(WAVEFORM, (7, epoch, 3)) for epoch in (0, 1, 0))
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_probability_zero_leaves_the_waveform():
    augment = build_augmentation(probability=0.0, **CHANGES)
    assert np.array_equal(augment(WAVEFORM, (0, 0, 0)), WAVEFORM)


def test_the_global_generators_are_left_as_they_were():
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.random()
    random.seed(1)
    np.random.seed(1)
    build_augmentation(probability=1.0, noise_snr=5)(WAVEFORM, (0, 0, 0))
    assert (random.random(), np.random.random()) == expected


def test_noise_has_the_asked_ratio():
    augment = build_augmentation(probability=1.0, noise_snr=10)
    ratios = []
    for i in range(20):
        noise = augment(WAVEFORM, (0, 0, i)) - WAVEFORM
        ratios.append(10 * np.log10(np.mean(WAVEFORM**2) / np.mean(noise**2)))
    assert 9.5 < min(ratios) < max(ratios) < 40.5


def test_noise_of_a_folder_is_added_at_0_to_30_db(tmp_path, write_audio):
    write_audio(tmp_path / "hum.wav", seconds=2, frequency=60)
    augment = build_augmentation(probability=1.0, noise_folder=str(tmp_path))
    for i in range(5):
        noise = augment(WAVEFORM, (0, 0, i)) - WAVEFORM
        ratio = 10 * np.log10(np.mean(WAVEFORM**2) / np.mean(noise**2))
        assert -0.5 < ratio < 30.5
        assert np.argmax(np.abs(np.fft.rfft(noise))) == 60  # one second, so that the bin is the frequency in Hz


def test_speed_moves_the_pitch_with_the_length_and_tempo_leaves_it():
    for change, moves in (("speed", True), ("tempo", False)):
        augment = build_augmentation(probability=1.0, **{change: 0.2})
        changed = augment(WAVEFORM, (0, 0, 1))
        ratio = len(WAVEFORM) / len(changed)
        crossings = np.mean(np.diff(np.sign(changed[2000:-2000])) != 0) / np.mean(np.diff(np.sign(WAVEFORM)) != 0)
        assert abs(ratio - 1) > 0.01
        assert crossings == pytest.approx(ratio if moves else 1, rel=0.005)
