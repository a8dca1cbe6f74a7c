"""Audio of requests: formats in memory, limits, and the words for what is wrong."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from encoded_audio import write_with_ffmpeg

from ser_hf.data import decode_audio
from ser_hf.serving.service.errors import NotAudioError, TooLongError, UploadError
from ser_hf.serving.service.memory_files import memory_file
from ser_hf.serving.service.recordings import add_header, decode_upload


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg"])
def test_a_recording_in_memory_is_decoded_like_a_file(name, write_audio, tmp_path):
    write_audio(tmp_path / name, seconds=1.5, rate=44_100, channels=2)
    recording = decode_upload((tmp_path / name).read_bytes(), longest=10)
    np.testing.assert_array_equal(recording.waveform, decode_audio(tmp_path / name))
    assert recording.duration == pytest.approx(1.5, abs=0.1)
    assert recording.missing == 0
    assert recording.notes == []


def test_formats_of_phones_are_decoded_in_memory(tmp_path):
    av = pytest.importorskip("av")
    tone = 0.3 * np.sin(np.arange(32_000) / 20)
    write_with_ffmpeg(av, tmp_path / "a.m4a", tone.astype(np.float32), "aac", "mp4", 16_000)
    assert decode_upload((tmp_path / "a.m4a").read_bytes(), longest=10).duration == pytest.approx(2, abs=0.1)


def test_nothing_is_written_to_a_folder_of_temporary_files(write_audio, tmp_path, monkeypatch):
    if not hasattr(os, "memfd_create"):
        pytest.skip("this system has no files in memory")
    write_audio(tmp_path / "a.wav")
    monkeypatch.setattr(tempfile, "tempdir", "/none")
    decode_upload((tmp_path / "a.wav").read_bytes(), longest=10)


def test_elsewhere_the_temporary_file_is_removed(monkeypatch):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    with memory_file(b"content") as path:
        assert Path(path).read_bytes() == b"content"
    assert not Path(path).parent.exists()


def test_samples_with_a_header_are_the_same_samples():
    samples = (20_000 * np.sin(np.arange(16_000) / 20)).astype("<i2")
    recording = decode_upload(add_header(samples.tobytes(), 8_000), longest=10)
    assert recording.duration == 2.0
    recording = decode_upload(add_header(samples.tobytes(), 16_000), longest=10)
    np.testing.assert_array_equal(recording.waveform * 32_768, samples)
    with pytest.raises(
        UploadError, match=r"Expected samples of 16 bits, 2 bytes each, found 3 bytes\. Send whole samples only\."
    ):
        add_header(b"abc", 16_000)


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (
            b"hello",
            NotAudioError,
            "Expected an audio file, such as WAV, FLAC, MP3 or Ogg, found 5 bytes that are not audio, or damaged "
            "audio. Send the whole file; samples without a header need the parameter sampling_rate.",
        ),
        (b"", NotAudioError, "Expected an audio file, such as WAV, FLAC, MP3 or Ogg, found an empty file. Send the"),
        (b"<!DOCTYPE html><html>", NotAudioError, "Expected an audio file, such as WAV, FLAC, MP3 or Ogg, found "),
        (add_header(b"", 16_000), NotAudioError, "Expected audio, found a header without samples. Record it again"),
        (
            add_header(bytes(32_000), 16_000),
            UploadError,
            "The recording is silent (all samples are 0)",
        ),
        (add_header(b"\1\2" * 8_000, 1_000), TooLongError, "Expected at most 5 s of audio, found 8 s."),
        (add_header(b"\1\2" * 8_000, 16_000)[:30], NotAudioError, "found 30 bytes that are not audio, or damaged"),
    ],
)
def test_what_is_wrong_is_said_without_a_path(content, kind, message):
    with pytest.raises(UploadError) as raised:
        decode_upload(content, longest=5)
    assert type(raised.value) is kind
    assert message in str(raised.value)
    assert "/proc" not in str(raised.value)


def test_a_recording_that_is_cut_off_is_answered_with_the_words_of_the_toolkit(write_audio, tmp_path):
    write_audio(tmp_path / "a.wav", seconds=2)
    recording = decode_upload((tmp_path / "a.wav").read_bytes()[:32_044], longest=10)
    assert (recording.duration, recording.missing) == (1.0, 1.0)
    assert recording.notes == ["The recording lacks the last 1.00 s of the 2.00 s that its header promises."]


def test_different_channels_are_a_note(tmp_path):
    tones = np.stack([np.sin(np.arange(16_000) / 20), np.sin(np.arange(16_000) / 9)], axis=1)
    soundfile.write(tmp_path / "a.wav", tones / 2, 16_000)
    recording = decode_upload((tmp_path / "a.wav").read_bytes(), longest=10)
    assert recording.notes == ["The recording has 2 different channels, which were averaged."]


def test_channels_that_cancel_each_other_are_refused(tmp_path):
    tone = np.sin(np.arange(16_000) / 20)
    soundfile.write(tmp_path / "a.wav", np.stack([tone, -tone], axis=1) / 2, 16_000)
    with pytest.raises(UploadError, match="The recording has 2 channels that cancel each other"):
        decode_upload((tmp_path / "a.wav").read_bytes(), longest=10)
