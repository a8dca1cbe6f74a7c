"""Degradations of waveforms: levels, spectra and codecs, measured on the result."""

import numpy as np
import pytest

from ser_hf.corpora.speech_synthesis import synthesize
from ser_hf.data import degradations

RATE = 16_000
NAMES = list(degradations.CODECS)


@pytest.fixture(scope="module")
def speech():
    return np.concatenate([synthesize("angry", speaker=1, sentence=i) for i in (1, 2)]).astype(np.float32)


def power(waveform, low, high):
    """Return the share of the power between two frequencies in Hz."""
    spectrum = np.abs(np.fft.rfft(waveform)) ** 2
    hertz = np.fft.rfftfreq(len(waveform), 1 / RATE)
    return spectrum[(hertz >= low) & (hertz < high)].sum() / spectrum.sum()


@pytest.mark.parametrize("snr", [20, 0])
def test_noise_has_the_requested_ratio(speech, snr):
    noise = degradations.white_noise(len(speech), np.random.default_rng(0))
    added = degradations.add_noise(speech, noise, snr) - speech
    assert 10 * np.log10(np.mean(speech**2) / np.mean(added**2)) == pytest.approx(snr, abs=0.01)


def test_white_noise_has_equal_power_per_hertz_and_pink_noise_per_octave():
    white, pink = (
        make(8 * RATE, np.random.default_rng(0)) for make in (degradations.white_noise, degradations.pink_noise)
    )
    assert power(white, 2000, 4000) / power(white, 1000, 2000) == pytest.approx(2, rel=0.1)
    assert power(pink, 2000, 4000) / power(pink, 1000, 2000) == pytest.approx(1, rel=0.1)


def test_speech_shaped_noise_has_the_spectrum_of_the_speech(speech):
    spectrum = degradations.average_spectrum([speech])
    noise = degradations.speech_shaped_noise(8 * RATE, np.random.default_rng(0), spectrum)
    for low, high in ((200, 1000), (1000, 4000)):
        assert power(noise, low, high) == pytest.approx(power(speech, low, high), rel=0.25)


def test_babble_contains_other_voices_only(speech):
    silent = np.zeros(RATE, np.float32)
    assert np.abs(degradations.babble(RATE, np.random.default_rng(0), [silent] * 6)).max() == 0
    tone = np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE).astype(np.float32)
    assert power(degradations.babble(3 * RATE, np.random.default_rng(0), [tone]), 400, 480) > 0.95


@pytest.mark.parametrize("codec", NAMES)
def test_a_codec_changes_the_samples_and_keeps_length_and_level(speech, codec):
    decoded = degradations.transcode(speech, codec)
    assert decoded.shape == speech.shape
    assert decoded.dtype == np.float32
    assert 0.3 < np.std(decoded) / np.std(speech) < 1.1
    assert not np.array_equal(decoded, speech)


@pytest.mark.parametrize("codec", ["mu_law", "gsm"])
def test_a_telephone_leaves_out_low_and_high_frequencies(codec):
    noise = 0.1 * degradations.white_noise(4 * RATE, np.random.default_rng(0))
    decoded = degradations.transcode(noise, codec)
    assert power(decoded, 0, 150) < 0.01
    assert power(decoded, 4200, 8000) < 0.01
    assert power(decoded, 300, 3400) > 0.9


def test_a_codec_that_libsndfile_lacks_is_one_sentence(speech, monkeypatch):
    monkeypatch.setitem(degradations.CODECS, "opus_8", (RATE, {"format": "WAV", "subtype": "OPUS"}))
    with pytest.raises(ValueError, match="cannot write .*'OPUS'"):
        degradations.transcode(speech, "opus_8")


def test_a_gain_changes_the_level_and_clips():
    tone = np.array([0.1, -0.5], np.float32)
    assert degradations.change_gain(tone, -20).tolist() == pytest.approx([0.01, -0.05])
    assert degradations.change_gain(tone, 12).tolist() == pytest.approx([0.39811, -1.0], abs=1e-4)


@pytest.mark.parametrize(("room", "seconds"), [("small", 0.4), ("large", 1.2)])
def test_a_room_decays_at_its_reverberation_time(room, seconds):
    pytest.importorskip("pyroomacoustics")
    response = degradations._room_response(room)
    energy = np.cumsum(response[::-1] ** 2)[::-1]
    decay = 10 * np.log10(energy / energy[0])
    t60 = 2 * (np.argmax(decay < -35) - np.argmax(decay < -5)) / RATE
    assert t60 == pytest.approx(seconds, rel=0.4)  # Sabine's formula is an approximation


def test_reverberation_keeps_length_and_level(speech):
    pytest.importorskip("pyroomacoustics")
    result = degradations.reverberate(speech, "small")
    assert result.shape == speech.shape
    assert np.std(result) == pytest.approx(np.std(speech), rel=0.05)


def test_a_higher_speed_is_shorter_and_higher():
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    fast = degradations.change_speed(tone, 1.1)
    assert len(fast) == pytest.approx(RATE / 1.1, abs=2)
    assert power(fast, 1080, 1120) > 0.95


def test_random_degradations_depend_on_the_seed_only(speech):
    for change in (degradations.random_telephone, degradations.random_codec):
        results = [change(speech, np.random.default_rng(seed)).tobytes() for seed in (0, 0, 1, 2, 3, 4)]
        assert results[0] == results[1]
        assert len(set(results)) > 1
