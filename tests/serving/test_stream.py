import numpy as np
import pytest
import torch

from ser_hf.corpora.speech_synthesis import synthesize
from ser_hf.serving.long_recording import timeline
from ser_hf.serving.stream import stream

TALK = (("", 1.0), ("sad", 2.3), ("", 1.4), ("angry", 6.2), ("neutral", 5.1), ("", 0.8), ("sad", 0.5), ("", 0.3))
RATES = [8_000, 16_000, 44_100, 48_000]


def cut_randomly(waveform, seed, most):
    rng = np.random.default_rng(seed)
    while len(waveform):
        size = int(rng.integers(0, most))
        yield waveform[:size]
        waveform = waveform[size:]


def finals(segments):
    return [segment for segment in segments if segment.final]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("most", [200, 100_000])
def test_a_stream_has_the_segments_of_the_timeline_whatever_the_chunks(recogniser, speak, record, rate, most):
    waveform = speak(*TALK, rate=rate)
    path = record(waveform, rate)
    expected = list(timeline(recogniser, path))
    found = finals(stream(recogniser, cut_randomly(waveform, most, most), rate))
    assert [segment.emotion for segment in expected] == ["sad", "angry", "neutral", "sad"]
    assert found == expected


@pytest.mark.parametrize(("window", "hop"), [(1.0, 0.1), (2.0, 0.5), (3.0, 3.0)])
def test_windows_and_hops_of_any_length_give_stream_and_timeline_the_same(recogniser, speak, record, window, hop):
    waveform = speak(*TALK)
    expected = list(timeline(recogniser, record(waveform), window=window, hop=hop))
    assert finals(stream(recogniser, [waveform], 16_000, window=window, hop=hop)) == expected
    assert len(expected) >= 4
    for before, after in zip(expected, expected[1:], strict=False):
        assert before.start < before.end <= after.start < after.end


@pytest.mark.parametrize("hop", [0.25, 1.0])
def test_every_sound_is_in_a_result_within_a_hop_of_its_arrival(recogniser, speak, hop):
    waveform = speak(("", 1.0), ("sad", 2.3), ("", 1.4), ("angry", 6.2), ("", 2.0))
    arrived = 0.0

    def microphone():
        nonlocal arrived
        for chunk in np.split(waveform, range(800, len(waveform), 800)):
            arrived += len(chunk) / 16_000
            yield chunk

    results = [(arrived, segment) for segment in stream(recogniser, microphone(), 16_000, hop=hop)]
    for sound in [*np.arange(1.0, 3.3, 0.05), *np.arange(4.7, 10.9, 0.05)]:
        first = next(when for when, segment in results if segment.start <= sound < segment.end + 0.051)
        assert first - sound <= hop + 0.2 + 0.051


def test_the_segment_being_spoken_grows_until_it_is_final(recogniser, speak):
    segments = list(stream(recogniser, [speak(("", 1.0), ("angry", 2.6), ("", 2.0))], 16_000))
    assert [segment.final for segment in segments] == [False] * (len(segments) - 1) + [True]
    assert {segment.start for segment in segments} == {segments[0].start}
    assert segments[-1].end == pytest.approx(3.6, abs=0.16)


def test_a_stretch_that_fits_in_the_window_is_scored_as_one_utterance_with_its_pauses(recogniser, speak):
    heard = []
    recogniser.score = lambda waveforms: heard.extend(waveforms) or np.array([[1.0, 0, 0]])
    list(stream(recogniser, [speak(("", 3.0), ("sad", 2.0), ("", 3.0))], 16_000))
    assert len(heard[-1]) / 16_000 == pytest.approx(1 + 2 + 1, abs=0.11)


def test_no_window_holds_speech_of_two_stretches(recogniser, speak):
    heard = []
    score = recogniser.score
    recogniser.score = lambda waveforms: heard.extend(waveforms) or score(waveforms)
    segments = finals(stream(recogniser, [speak(("sad", 1.5), ("", 0.7), ("angry", 1.5))], 16_000))
    assert [segment.emotion for segment in segments] == ["sad", "angry"]
    assert all(score([waveform]).max() > 0.99 for waveform in heard)


def test_windows_are_trimmed_as_in_training(recogniser, speak, record):
    waveform = speak(("", 1.0), ("sad", 2.0), ("", 1.0))
    recogniser.trim = lambda waveform: waveform[:100]
    recogniser.score = lambda waveforms: np.array([[len(each) / 100, 0, 0] for each in waveforms])
    assert finals(stream(recogniser, [waveform], 16_000))[0].score == 1
    assert [segment.score for segment in timeline(recogniser, record(waveform))] == [1]


def test_several_channels_are_averaged(recogniser, speak):
    waveform = speak(*TALK)
    channels = np.stack([2 * waveform, np.zeros_like(waveform)], 1)
    assert finals(stream(recogniser, [channels], 16_000)) == finals(stream(recogniser, [waveform], 16_000))


@pytest.mark.parametrize("chunk", [np.zeros(100, dtype=np.int16), np.array([0.0, np.nan])])
def test_samples_that_are_no_finite_floats_are_refused(recogniser, chunk):
    with pytest.raises(ValueError, match="finite float samples"):
        list(stream(recogniser, [chunk], 16_000))


@pytest.mark.parametrize(
    ("chunk", "rate", "message"),
    [
        (np.zeros((2, 800)), 16_000, r"\(2, 800\): more channels than samples. Pass audio.T"),
        (np.zeros((1, 1, 800)), 16_000, "found shape"),
        (np.float32(0.5), 16_000, "found shape"),
        (np.full(800, 9_000.0), 16_000, "found a peak of 9000. Divide"),
        ([1, 2, 3], 16_000, "finite float samples.*found int64"),
        (np.zeros(800), 16, "sampling_rate: expected.*found 16"),
        (np.zeros(800), float("inf"), "sampling_rate: expected.*found inf"),
        (np.zeros(800), "16000", "sampling_rate: expected.*found '16000'"),
    ],
)
def test_chunks_that_make_no_sense_are_refused_with_the_reason(recogniser, chunk, rate, message):
    with pytest.raises(ValueError, match=message):
        list(stream(recogniser, [chunk], rate))


@pytest.mark.parametrize("convert", [list, torch.from_numpy])
def test_lists_and_tensors_are_chunks_too(recogniser, speak, convert):
    waveform = speak(("", 1.0), ("sad", 1.0), ("", 1.0))
    assert finals(stream(recogniser, [convert(waveform)], 16_000)) == finals(stream(recogniser, [waveform], 16_000))


def test_chunks_of_fewer_samples_than_channels_are_heard(recogniser, speak):
    waveform = speak(("", 0.5), ("sad", 1.0), ("", 0.5))
    chunks = np.split(np.stack([waveform] * 4, 1), range(3, 400, 3))
    assert finals(stream(recogniser, chunks, 16_000)) == finals(stream(recogniser, [waveform], 16_000))


def test_what_follows_the_last_whole_block_is_heard(recogniser, speak):
    segments = finals(stream(recogniser, [speak(("", 1.0), ("sad", 1.03))], 16_000))
    assert [segment.end for segment in segments] == [2.03]


@pytest.mark.parametrize(("window", "hop", "message"), [(4.0, 0.03, "multiple of 0.05"), (4.0, 1.5, "multiple of 1.5")])
def test_windows_and_hops_off_the_grid_are_refused(recogniser, window, hop, message):
    with pytest.raises(ValueError, match=message):
        list(stream(recogniser, [np.zeros(100)], 16_000, window=window, hop=hop))


@pytest.mark.parametrize("most", [200, 100_000])
def test_with_silero_music_has_no_segment_and_a_stream_has_the_segments_of_the_timeline(recogniser, record, most):
    times = np.arange(4 * 16_000) / 16_000
    music = sum(0.1 * np.sin(2 * np.pi * hertz * times) for hertz in (220, 277, 330))
    speech = synthesize("neutral", 2, 3)
    waveform = np.concatenate([music, speech, music, speech, music]).astype(np.float32)
    path = record(waveform)
    found = list(timeline(recogniser, path, speech="silero"))
    assert [segment.start for segment in found] == pytest.approx([4.2, 8.2 + len(speech) / 16_000], abs=0.3)
    assert sum(segment.end - segment.start for segment in found) < 2 * len(speech) / 16_000 + 2
    assert sum(segment.end - segment.start for segment in timeline(recogniser, path)) > 12  # the energy rule
    assert finals(stream(recogniser, cut_randomly(waveform, 0, most), 16_000, speech="silero")) == found


def test_an_unknown_detector_is_refused(recogniser, record, speak):
    with pytest.raises(ValueError, match=r"speech: expected one of \['energy', 'silero'\], found 'loud'"):
        list(timeline(recogniser, record(speak(("sad", 1.0))), speech="loud"))
