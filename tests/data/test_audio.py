import os

import numpy as np
import pytest
import soundfile

from ser_hf.data.audio import audio_duration, cached_audio, decode_audio, load_audio

FORMATS = [
    ("a.wav", {"subtype": "PCM_16"}),
    ("8bit.wav", {"subtype": "PCM_U8"}),
    ("24bit.wav", {"subtype": "PCM_24"}),
    ("float.wav", {"subtype": "FLOAT"}),
    ("a.flac", {}),
    ("a.ogg", {}),
    ("a.mp3", {}),
    ("a.aiff", {}),
    ("aiff_under_another_name.wav", {"format": "AIFF"}),
    ("stereo.wav", {"channels": 2}),
    ("eight_channels.wav", {"channels": 8}),
    ("48k.wav", {"rate": 48_000}),
    ("96k.flac", {"rate": 96_000}),
    ("8k.wav", {"rate": 8_000}),
    ("a.opus", {"rate": 48_000, "format": "OGG", "subtype": "OPUS"}),
]


@pytest.mark.parametrize(("name", "options"), FORMATS, ids=[name for name, _ in FORMATS])
def test_every_format_is_read_as_the_same_mono_tone(tmp_path, write_audio, name, options):
    write_audio(tmp_path / name, seconds=1.0, frequency=440, **options)
    waveform = decode_audio(tmp_path / name)
    assert waveform.dtype == np.float32
    assert waveform.ndim == 1
    assert len(waveform) == pytest.approx(16_000, abs=1_200)  # mp3 pads its last frame
    spectrum = np.abs(np.fft.rfft(waveform[4_000:12_000]))
    assert spectrum.argmax() * 2 == 440
    assert np.abs(waveform[4_000:12_000]).max() == pytest.approx(0.3, rel=0.05)


def test_16_bit_samples_at_16_khz_are_untouched(tmp_path, write_audio):
    write_audio(tmp_path / "a.wav")
    stored, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert np.array_equal(decode_audio(tmp_path / "a.wav"), stored)


def test_a_segment_is_the_stretch_between_its_times(tmp_path, write_audio):
    write_audio(tmp_path / "a.wav", seconds=2.0)
    whole = decode_audio(tmp_path / "a.wav")
    assert np.array_equal(decode_audio(tmp_path / "a.wav", start=0.5, end=1.25), whole[8_000:20_000])
    assert np.array_equal(decode_audio(tmp_path / "a.wav", start=1.5, end=9.0), whole[24_000:])


def test_the_cache_equals_the_first_decode(tmp_path, write_audio):
    write_audio(tmp_path / "a.flac", rate=44_100, subtype="PCM_24")
    first, again = load_audio(tmp_path / "a.flac"), load_audio(tmp_path / "a.flac")
    assert np.array_equal(first, again)
    assert cached_audio(tmp_path / "a.flac").stat().st_size == pytest.approx(2 * len(first), abs=256)


def test_a_changed_file_is_decoded_anew(tmp_path, write_audio):
    write_audio(tmp_path / "a.wav", frequency=200)
    before = load_audio(tmp_path / "a.wav")
    write_audio(tmp_path / "a.wav", frequency=300)
    os.utime(tmp_path / "a.wav", ns=(1, 1))
    assert not np.array_equal(before, load_audio(tmp_path / "a.wav"))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00", bytes(300), "cut"])
@pytest.mark.parametrize("window", [None, (0.1, 0.2)])
def test_a_damaged_file_of_the_cache_is_decoded_anew(tmp_path, write_audio, caplog, content, window):
    write_audio(tmp_path / "a.wav")
    before = load_audio(tmp_path / "a.wav", window=window)
    cached = cached_audio(tmp_path / "a.wav")
    whole = cached.read_bytes()
    cached.write_bytes(whole[:-100] if content == "cut" else content)
    assert np.array_equal(load_audio(tmp_path / "a.wav", window=window), before)
    assert "is damaged" in caplog.text
    assert cached.read_bytes() == whole


def test_full_scale_does_not_wrap_around(tmp_path):
    soundfile.write(tmp_path / "loud.wav", np.tile([1.0, -1.0, 1.5], 2_000), 16_000, subtype="FLOAT")
    waveform = load_audio(tmp_path / "loud.wav")
    assert waveform[0] > 0.99
    assert waveform[1] == -1.0
    assert waveform[2] > 0.99


def test_decoding_neither_rounds_nor_clips(tmp_path):
    samples = np.array([1.5, -2.0, 1e-6, 0.123456789] * 500, np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    assert np.array_equal(decode_audio(tmp_path / "a.wav"), samples)


def test_the_duration_comes_from_the_header(tmp_path, write_audio):
    write_audio(tmp_path / "a.flac", seconds=1.25, rate=44_100)
    assert audio_duration(tmp_path / "a.flac") == pytest.approx(1.25)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.wav", b"", "is not audio but an empty file: copy or download it again"),
        (
            "text.wav",
            b"this is not audio",
            r"does not recognise \(Invalid data found when processing input\)\. Convert.*ffmpeg",
        ),
        ("a.m4a", b"\x00\x00\x00\x20ftypM4A ", "ffmpeg -i"),
    ],
)
def test_an_unreadable_file_is_named_with_the_way_out(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        decode_audio(tmp_path / name)


def test_nan_and_zero_length_are_refused(tmp_path):
    soundfile.write(tmp_path / "nan.wav", np.full(1_000, np.nan), 16_000, subtype="FLOAT")
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16_000)
    with pytest.raises(ValueError, match="not finite"):
        decode_audio(tmp_path / "nan.wav")
    with pytest.raises(ValueError, match="holds no sample"):
        decode_audio(tmp_path / "none.wav")


@pytest.mark.slow
def test_files_as_users_have_them_are_read(shared):
    files = sorted((shared / "data" / "odd").iterdir())
    assert len(files) == 8
    for path in files:
        waveform = decode_audio(path)
        assert len(waveform) == pytest.approx(audio_duration(path) * 16_000, abs=2)
        assert 0.01 < np.abs(waveform).max() <= 1
