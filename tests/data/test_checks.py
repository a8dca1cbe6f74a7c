"""The same checks for arrays, files, streams and training."""

import numpy as np
import pytest
import soundfile

from ser_hf.corpora import Utterance
from ser_hf.data.audio import decode_audio
from ser_hf.data.audit import audit_split
from ser_hf.data.checks import Levels, SilenceError
from ser_hf.data.preparation import prepare_audio
from ser_hf.serving.decoding import to_waveform

RATE = 16_000
NOISE = np.random.default_rng(0).normal(0, 0.05, RATE).astype(np.float32)
SINE = (0.3 * np.sin(np.arange(RATE) * 0.1)).astype(np.float32)
ZEROS = np.zeros_like(SINE)

USELESS = {
    "zeros": (ZEROS, "is silent .all samples are 0"),
    "stereo zeros": (np.stack([ZEROS, ZEROS], 1), "is silent"),
    "constant offset": (ZEROS + 0.25, "is silent .all samples are 0.25"),
    "dither": (np.sign(NOISE) / 65_536, "is silent .all samples are within"),
    "inverted": (np.stack([SINE, -SINE], 1), "2 channels that cancel each other"),
    "inverted and a little softer": (np.stack([NOISE, -0.95 * NOISE], 1), "2 channels that cancel each other"),
    "two inverted pairs": (np.stack([SINE, NOISE, -SINE, -NOISE], 1), "4 channels that cancel each other"),
    "integers as floats": (SINE * 32_768, "found a peak of 9[0-9]{3}"),
    "one sample far beyond full scale": (np.append(SINE, np.float32(1e30)), "found a peak of 1e"),
    "infinity in one channel": (np.stack([SINE, np.append(SINE[1:], np.float32(np.inf))], 1), "not finite|infinity"),
}
USABLE = {
    "speech": SINE,
    "a dead channel": np.stack([SINE, ZEROS], 1),
    "with an offset": SINE + 0.3,
    "channels that differ": np.stack([SINE, NOISE], 1),
    "very soft": SINE * 0.002,
    "clipped": np.clip(4 * SINE, -1, 1),
    "half a second of silence within": np.concatenate([SINE, ZEROS[:8_000], SINE]),
}


@pytest.fixture
def write(tmp_path):
    def write_file(samples):
        soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
        return str(tmp_path / "a.wav")

    return write_file


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (SINE[1:2], "has only 1 sample: expected speech"),
        (ZEROS[:49], "has only 49 samples: expected speech"),
        (ZEROS[:50], "is silent .all samples are 0"),
    ],
)
def test_the_number_of_samples_is_given_if_there_are_few(write, samples, message):
    with pytest.raises(SilenceError, match=message):
        to_waveform(samples, RATE)
    with pytest.raises(SilenceError, match=message):
        decode_audio(write(samples))


@pytest.mark.parametrize("name", USELESS)
def test_useless_audio_is_refused_as_array_and_as_file_and_left_out_of_training(write, name):
    samples, message = USELESS[name]
    path = write(samples)
    with pytest.raises(ValueError, match=message):
        to_waveform(samples, RATE)
    with pytest.raises(ValueError, match=message):
        decode_audio(path)
    split, problems = prepare_audio({"train": [Utterance(path=path, corpus="x", emotion="sad")]})
    assert (split["train"], [problem.action for problem in problems]) == ([], ["skipped"])
    (finding,) = audit_split({"all": [Utterance(path=path, corpus="x", emotion="sad")]})
    assert (finding.kind, finding.severity) == ("silent" if "silent" in message else "unreadable", "fault")


@pytest.mark.parametrize("name", USABLE)
def test_usable_audio_is_used(write, name):
    path = write(USABLE[name])
    assert len(decode_audio(path)) == len(to_waveform(USABLE[name], RATE)) == len(USABLE[name])


@pytest.mark.parametrize(
    ("name", "kind", "detail"),
    [
        ("a dead channel", "dead channel", "of 2 channels, [2] are silent"),
        ("with an offset", "offset", "the mean of the samples is +0.30 of full scale instead of 0"),
        ("clipped", "clipped", "of the samples are in flat peaks at full scale"),
    ],
)
def test_what_is_used_although_it_is_unusual_is_a_note_of_the_audit(write, name, kind, detail):
    (finding,) = audit_split({"all": [Utterance(path=write(USABLE[name]), corpus="x", emotion="sad")]})
    assert (finding.kind, finding.severity) == (kind, "note")
    assert detail in finding.detail


def test_a_silent_segment_of_a_file_is_silence_although_the_rest_is_not(write):
    path = write(np.concatenate([SINE, ZEROS, SINE]))
    with pytest.raises(SilenceError):
        decode_audio(path, start=1.2, end=1.8)
    assert len(decode_audio(path, start=0.9, end=1.8)) == 14_400


def test_levels_are_those_of_all_chunks():
    levels = Levels("'a.wav'")
    for chunk in (ZEROS, SINE, ZEROS):
        levels.add(np.stack([chunk, ZEROS], 1), chunk / 2)
    assert not levels.is_silent
    assert levels.dead_channels == [2]
    assert Levels("'a.wav'").is_silent
