import time

import numpy as np
import pytest
import soundfile

from ser_hf.corpora.speech_synthesis import synthesize
from ser_hf.data.silence import find_speech, remove_pauses, trim_ends

EMOTIONS = ("angry", "disgust", "fearful", "happy", "neutral", "sad")
LEAD, TAIL = 0.8, 0.6  # seconds of silence around the spoken sentence
SPOKEN = [(emotion, speaker, sentence) for emotion in EMOTIONS for speaker, sentence in ((1, 1), (2, 3), (5, 6))]


def speak(emotion, speaker, sentence):
    """Return a synthetic sentence ``(T,)`` without the 0.05 to 0.15 s of room about it."""
    waveform = synthesize(emotion, speaker, sentence).astype(np.float64)
    levels = 10 * np.log10(np.square(waveform[: len(waveform) // 80 * 80].reshape(-1, 80)).mean(1))
    loud = np.flatnonzero(levels > levels.max() - 35)
    return waveform[loud[0] * 80 : (loud[-1] + 1) * 80]


def record(speech, snr, *, lead=LEAD, tail=TAIL, seed=0):
    """Put silence about speech and white noise under all of it, at `snr` dB."""
    silent = np.pad(speech, (round(lead * 16_000), round(tail * 16_000)))
    noise = np.random.default_rng(seed).standard_normal(len(silent)) * np.sqrt(np.mean(speech**2) / 10 ** (snr / 10))
    return (silent + noise).astype(np.float32)


@pytest.mark.parametrize("snr", [60, 20, 10])
@pytest.mark.parametrize("spoken", SPOKEN, ids=str)
def test_the_ends_lie_at_most_150_ms_outside_the_speech_and_not_within(spoken, snr):
    speech = speak(*spoken)
    first, last = trim_ends(record(speech, snr))
    assert LEAD - 0.15 < first < LEAD + 0.02  # a consonant's first 20 ms may lie below the noise
    assert LEAD + len(speech) / 16_000 - 0.02 < last < LEAD + len(speech) / 16_000 + 0.15


def test_digital_silence_around_speech_is_trimmed():
    speech = speak("neutral", 1, 1)
    first, last = trim_ends(np.pad(speech, (16_000, 16_000)))
    assert first == pytest.approx(0.9, abs=0.03)
    assert last == pytest.approx(1.1 + len(speech) / 16_000, abs=0.03)


@pytest.mark.parametrize("spoken", SPOKEN, ids=str)
def test_speech_without_silence_is_left_whole(spoken):
    speech = speak(*spoken)
    first, last = trim_ends(record(speech, 60, lead=0, tail=0))
    assert first < 0.02
    assert last > len(speech) / 16_000 - 0.02


def test_a_soft_onset_is_not_cut():
    speech = speak("sad", 1, 1)
    speech[:3_200] *= np.linspace(0.03, 1, 3_200)  # 0.2 s, from 30 dB below
    assert trim_ends(record(speech, 50))[0] < LEAD + 0.02


def test_a_whispered_first_word_is_kept_and_a_breath_is_not():
    word, speech = speak("neutral", 1, 1), speak("angry", 1, 2)
    breath = np.random.default_rng(1).standard_normal(6_400) * speech.std() * 10 ** (-45 / 20)
    whisper = word / word.std() * speech.std() * 10 ** (-25 / 20)
    whispered = trim_ends(record(np.concatenate([whisper, np.zeros(3_200), speech]), 70))
    assert LEAD - 0.15 < whispered[0] < LEAD + 0.02
    breathed = trim_ends(record(np.concatenate([breath, np.zeros(3_200), speech]), 70))
    assert breathed[0] == pytest.approx(LEAD + 0.6 - 0.1, abs=0.05)


@pytest.mark.parametrize("snr", [60, 10])
@pytest.mark.parametrize("gain", [1e-4, 0.1, 30.0])
def test_the_level_of_the_recording_does_not_matter(snr, gain):
    waveform = record(speak("happy", 2, 3), snr)
    assert find_speech(waveform * np.float32(gain)) == find_speech(waveform)


def test_an_offset_does_not_matter():
    waveform = record(speak("happy", 2, 3), 40)
    assert trim_ends(waveform + np.float32(0.3)) == pytest.approx(trim_ends(waveform), abs=0.02)


def uniform_sounds():
    rng = np.random.default_rng(0)
    yield "digital silence", np.zeros(16_000)
    yield "a constant", np.full(16_000, 0.3)
    yield "a tone", np.sin(np.arange(48_000) * 0.1)
    yield "white noise", rng.standard_normal(48_000)
    yield "half a minute of white noise", rng.standard_normal(480_000)
    yield "pink noise", np.fft.irfft(np.fft.rfft(rng.standard_normal(48_000)) / np.sqrt(np.arange(1, 24_002)))
    yield "one sample", np.ones(1)
    yield "10 ms of noise", rng.standard_normal(160)
    yield "90 ms of speech", speak("neutral", 1, 1)[2_000:3_440]


@pytest.mark.parametrize(("name", "waveform"), list(uniform_sounds()))
def test_where_nothing_stands_out_all_is_kept(name, waveform):
    waveform = waveform.astype(np.float32)
    assert find_speech(waveform) == [(0.0, len(waveform) / 16_000)]
    assert np.array_equal(remove_pauses(waveform), waveform)


@pytest.mark.parametrize("snr", [60, 10])
def test_a_pause_parts_two_stretches(snr):
    one, two = speak("neutral", 1, 1), speak("neutral", 1, 2)
    waveform = record(np.concatenate([one, np.zeros(12_800), two]), snr)
    (_, end), (start, _) = find_speech(waveform)
    assert end == pytest.approx(LEAD + len(one) / 16_000 + 0.1, abs=0.05)
    assert start == pytest.approx(LEAD + len(one) / 16_000 + 0.7, abs=0.05)


@pytest.mark.parametrize("snr", [60, 10])
def test_an_inner_pause_is_shortened_and_only_that(snr):
    one, two = speak("neutral", 1, 1), speak("neutral", 1, 2)
    waveform = record(np.concatenate([one, np.zeros(12_800), two]), snr)
    shortened = remove_pauses(waveform)
    assert shortened.dtype == np.float32
    assert len(waveform) - len(shortened) == pytest.approx((0.8 - 0.2) * 16_000, abs=0.08 * 16_000)
    before, after = round((LEAD + 0.05) * 16_000) + len(one), round((TAIL + 0.05) * 16_000) + len(two)
    assert np.array_equal(shortened[:before], waveform[:before])
    assert np.array_equal(shortened[-after:], waveform[-after:])


def test_several_pauses_are_each_shortened():
    one = speak("neutral", 1, 1)
    waveform = record(np.concatenate([one, np.zeros(9_600), one, np.zeros(16_000), one]), 40)
    assert len(find_speech(waveform)) == 3
    shortened = remove_pauses(waveform)
    assert len(find_speech(shortened)) == 1
    assert len(shortened) == pytest.approx(len(waveform) - (0.4 + 0.8) * 16_000, abs=0.12 * 16_000)


def test_a_short_pause_and_silent_ends_stay():
    one, two = speak("neutral", 1, 1), speak("neutral", 1, 2)
    waveform = record(np.concatenate([one, np.zeros(3_200), two]), 60)
    assert np.array_equal(remove_pauses(waveform), waveform)


def test_the_joint_does_not_click():
    times = np.arange(16_000) / 16_000
    tone = np.sin(2 * np.pi * 300 * times)
    hum = 0.02 * np.sin(2 * np.pi * 130 * np.arange(3 * 16_000 - 4_321) / 16_000)  # the cut falls anywhere in its cycle
    waveform = hum.astype(np.float32)
    waveform[:16_000] += tone
    waveform[-16_000:] += tone
    shortened = remove_pauses(waveform)
    assert len(shortened) < len(waveform) - 7_000
    quiet = shortened[16_200 : len(shortened) - 16_200]
    largest_step = 0.02 * 2 * np.pi * 130 / 16_000
    assert np.abs(np.diff(quiet)).max() < 2 * largest_step


@pytest.mark.parametrize("function", [find_speech, trim_ends, remove_pauses])
@pytest.mark.parametrize("waveform", [np.zeros(0), np.zeros((2, 16_000)), np.array([0.0, np.nan])], ids=str)
def test_what_is_no_waveform_is_refused(function, waveform):
    with pytest.raises(ValueError, match=r"Expected a mono waveform \(T,\).*found shape"):
        function(waveform)


def test_half_a_minute_takes_less_than_50_ms():
    one = np.pad(speak("neutral", 1, 1), (0, 8_000))
    waveform = np.resize(one, 480_000).astype(np.float32)
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        remove_pauses(waveform)
        seconds.append(time.perf_counter() - begun)
    assert min(seconds) < 0.05
    assert len(find_speech(waveform)) > 10


@pytest.mark.slow
def test_real_utterances_are_trimmed_alike_when_clean_and_noisy(shared):
    ends = []
    for path in sorted((shared / "data" / "ravdess" / "Actor_01").iterdir()):
        waveform, _ = soundfile.read(path)
        first, last = trim_ends(waveform)
        speech = waveform[round(first * 16_000) : round(last * 16_000)]
        noise = np.random.default_rng(0).standard_normal(len(waveform)) * np.sqrt(np.mean(speech**2) / 10)
        noisy_first, noisy_last = trim_ends(waveform + noise)
        ends.append((len(speech) / len(waveform), noisy_first - first, last - noisy_last))
    share, late, early = np.median(ends, axis=0)
    assert share < 0.75  # a second before and after most of them
    assert abs(late) < 0.05
    assert abs(early) < 0.15
