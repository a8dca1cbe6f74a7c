"""Files whose header lies, that join several recordings, that FFmpeg decodes, and that are no files."""

import math
import os
import re
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from encoded_audio import write_with_ffmpeg

from ser_hf.data import ffmpeg
from ser_hf.data.audio import decode_audio, read_header
from ser_hf.data.decoder import open_audio

RNG = np.random.default_rng(0)
SPEECH = (0.2 * np.sin(np.arange(48_000) * 0.08) * RNG.uniform(0.5, 1, 48_000)).astype(np.float32)  # 3 s at 16 kHz


@pytest.fixture
def write(tmp_path):
    """Write ``write(name, seconds=…, rate=…)`` of speech, and return the path."""

    def write_file(name, seconds=3.0, rate=16_000, **options):
        soundfile.write(tmp_path / name, SPEECH[: round(seconds * rate)], rate, **options)
        return tmp_path / name

    return write_file


def patch(path, tag, offset, content):
    """Overwrite bytes at a distance from a tag."""
    damaged = bytearray(path.read_bytes())
    place = damaged.index(tag) + offset
    damaged[place : place + len(content)] = content
    path.write_bytes(damaged)


def cut(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: round(share * len(content))])


def without_xing(path):
    """Remove the frame that tells how many frames there are."""
    content = path.read_bytes()
    second = content.index(b"\xff\xf3", 4)
    path.write_bytes(content[second:])


@pytest.mark.parametrize(
    ("name", "options", "share", "kept"),
    [
        ("a.wav", {}, 0.5, 1.5),
        ("a.aiff", {}, 0.5, 1.5),
        ("a.au", {}, 0.25, 0.75),
        ("a.mp3", {}, 0.5, 1.5),
        ("a.flac", {}, 0.5, 1.5),
        ("float.wav", {"subtype": "FLOAT"}, 0.5, 1.5),
    ],
)
def test_a_file_that_breaks_off_has_what_is_decoded_and_lacks_the_rest(write, name, options, share, kept):
    path = write(name, **options)
    cut(path, share)
    header = read_header(path)
    assert header.duration == pytest.approx(kept, abs=0.3)
    assert header.duration + header.missing == pytest.approx(3.0, abs=0.05)
    assert len(decode_audio(path)) == pytest.approx(16_000 * header.duration, abs=2)
    assert open_audio(path).describe_missing().endswith("of the 3.00 s that its header promises")


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg", "a.aiff"])
def test_a_whole_file_lacks_nothing(write, name):
    header = read_header(write(name))
    assert (header.duration, header.missing) == (3.0, 0.0)


@pytest.mark.parametrize(
    ("name", "tag", "offset", "size"),
    [("a.wav", b"data", 4, bytes(4)), ("a.au", b".snd", 8, bytes(4)), ("a.w64", b"data\xf3", 16, bytes(8))],
)
def test_a_recording_that_was_interrupted_before_its_size_was_written_is_read_to_its_end(
    write, name, tag, offset, size
):
    path = write(name)
    patch(path, tag, offset, size)
    assert read_header(path).duration == pytest.approx(3.0, abs=0.01)
    assert np.allclose(decode_audio(path)[:40_000], SPEECH[:40_000], atol=1e-3)


def test_an_mp3_without_a_number_of_frames_is_read_to_its_end(write):
    path = write("a.mp3", bitrate_mode="VARIABLE")
    without_xing(path)
    assert read_header(path).duration == pytest.approx(3.0, abs=0.15)
    assert read_header(path).missing == 0.0


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.mp3", {}), ("a.ogg", {}), ("a.opus", {"format": "OGG", "subtype": "OPUS"})],
)
def test_joined_recordings_are_read_to_the_end_of_the_last(write, tmp_path, name, options):
    one, other = write(f"1{name}", **options), write(f"2{name}", seconds=2.0, **options)
    joined = tmp_path / name
    joined.write_bytes(one.read_bytes() + other.read_bytes())
    assert read_header(joined).duration == pytest.approx(5.0, abs=0.05)
    whole = decode_audio(joined)
    assert len(whole) == pytest.approx(80_000, abs=800)
    assert np.allclose(decode_audio(joined, start=3.5, end=4.5), whole[56_000:72_000], atol=0.01)
    assert np.allclose(decode_audio(joined, start=2.5, end=3.5), whole[40_000:56_000], atol=0.01)


def test_recordings_of_two_rates_in_one_file_are_refused_with_the_way_out(write, tmp_path):
    one, other = write("1.ogg"), write("2.ogg", seconds=1.0, rate=44_100)
    (tmp_path / "a.ogg").write_bytes(one.read_bytes() + other.read_bytes())
    with pytest.raises(ValueError, match="joins recordings of 16000 Hz .* and of 44100 Hz .*ffmpeg -i"):
        open_audio(tmp_path / "a.ogg")


def test_damage_in_the_middle_of_a_file_is_an_error_that_says_where(write):
    path = write("a.flac")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 64] = RNG.bytes(64)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"is damaged: it cannot be decoded after 1\.\d+ s of 3.00 s"):
        decode_audio(path)


@pytest.mark.parametrize(
    ("name", "rate", "subtype"),
    [
        ("gsm.wav", 8_000, "GSM610"), ("g721.wav", 8_000, "G721_32"), ("ima.wav", 8_000, "IMA_ADPCM"),
        ("ms.wav", 8_000, "MS_ADPCM"), ("ulaw.wav", 8_000, "ULAW"), ("alaw.au", 8_000, "ALAW"),
        ("g723.au", 8_000, "G723_24"), ("dwvw.aiff", 16_000, "DWVW_16"), ("alac.caf", 16_000, "ALAC_16"),
        ("vox.wav", 16_000, "NMS_ADPCM_32"),
    ],
)  # fmt: skip
def test_every_encoding_of_libsndfile_is_read_whole_and_by_segments(write, name, rate, subtype):
    path = write(name, rate=rate, subtype=subtype)
    seconds = read_header(path).duration
    assert seconds == pytest.approx(3.0, abs=0.05)
    whole = decode_audio(path, sampling_rate=rate)
    part = decode_audio(path, start=1.0, end=2.0, sampling_rate=rate)
    assert len(part) == rate
    assert np.abs(part - whole[rate : 2 * rate]).max() < 0.01


@pytest.mark.parametrize("rate", [1, 16, 999, 768_001, 500_000_000])
@pytest.mark.parametrize("name", ["a.wav", "a.aiff"])
def test_a_rate_that_no_recorder_has_is_refused(write, name, rate):
    path = write(name)
    if name == "a.wav":
        patch(path, b"fmt ", 12, rate.to_bytes(4, "little"))
    else:  # 80-bit float
        exponent = rate.bit_length() - 1
        patch(path, b"COMM", 16, (16_383 + exponent).to_bytes(2, "big") + (rate << (63 - exponent)).to_bytes(8, "big"))
    with pytest.raises(ValueError, match=f"sampling rate from 1000 to 768000 Hz, found {rate} Hz"):
        open_audio(path)


def test_what_is_no_file_is_refused_without_opening_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "zero.wav").symlink_to("/dev/zero")
    (tmp_path / "folder.wav").mkdir()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s.wav"))
    for name, kind in (("pipe", "named pipe"), ("zero", "device"), ("folder", "folder"), ("s", "socket")):
        with pytest.raises(ValueError, match=f"expected a file, found a {kind}"):
            decode_audio(tmp_path / f"{name}.wav")


@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
def test_an_ogg_file_without_an_end_is_logged_once(write, caplog, codec):
    whole, broken = (write(name, format="OGG", subtype=codec) for name in ("whole.ogg", "broken.ogg"))
    cut(broken, 0.5)
    for path in (whole, broken, broken):
        assert math.isnan(read_header(path).missing) if path == broken else read_header(path).missing == 0
    assert open_audio(whole).describe_missing() == ""
    (message,) = caplog.messages
    assert re.search(
        r"broken.ogg' breaks off after [01]\.\d\d s: its Ogg stream has no end, and how much is missing is unknown\.$",
        message,
    )


@pytest.mark.parametrize("read", [open_audio, read_header, decode_audio])
def test_a_link_without_a_file_is_named(tmp_path, read):
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    (tmp_path / "dangling.wav").symlink_to("gone.wav")
    with pytest.raises(OSError, match=r"loop.wav' is a link to itself\. Copy the file"):
        read(tmp_path / "loop.wav")
    with pytest.raises(FileNotFoundError, match=r"dangling.wav' is a link to a file that does not exist: 'gone.wav'"):
        read(tmp_path / "dangling.wav")
    with pytest.raises(FileNotFoundError, match="No such file"):
        read(tmp_path / "gone.wav")


def test_a_name_that_is_not_utf_8_is_read(write, tmp_path):
    path = os.fsencode(tmp_path) + b"/\xe4.flac"
    os.rename(write("a.flac"), path)
    assert len(decode_audio(os.fsdecode(path))) == 48_000
    assert read_header(os.fsdecode(path)).duration == 3.0


def test_reading_leaves_no_file_open(write):
    good, bad = write("a.mp3"), write("b.wav")
    bad.write_bytes(b"RIFF" + bytes(200))
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(5):
        decode_audio(good, start=0.5, end=1.0)
        with pytest.raises(ValueError, match="Cannot read"):
            decode_audio(bad)
    assert (len(os.listdir("/proc/self/fd")) if before else 0) == before


@pytest.mark.parametrize(
    ("name", "codec", "container", "rate"),
    [
        ("a.m4a", "aac", "mp4", 16_000), ("a.mp4", "aac", "mp4", 44_100), ("a.mov", "pcm_s16le", "mov", 16_000),
        ("a.3gp", "aac", "3gp", 16_000), ("a.webm", "libopus", "webm", 48_000),
        ("a.mka", "pcm_s16le", "matroska", 16_000),
        ("a.mkv", "alac", "matroska", 16_000), ("a.avi", "mp2", "avi", 16_000), ("a.aac", "aac", "adts", 16_000),
        ("a.wma", "wmav1", "asf", 44_100), ("a.ac3", "ac3", "ac3", 48_000), ("a.tta", "tta", "tta", 16_000),
        ("a.wv", "wavpack", "wv", 16_000), ("a.ts", "mp2", "mpegts", 16_000), ("a.flv", "aac", "flv", 44_100),
        ("a.mp4v.mkv", "libmp3lame", "matroska", 16_000),
    ],
)  # fmt: skip
def test_the_formats_of_ffmpeg_are_read(tmp_path, name, codec, container, rate):
    av = pytest.importorskip("av")
    path = tmp_path / name
    try:
        write_with_ffmpeg(av, path, SPEECH, codec, container, rate)
    except (av.FFmpegError, ValueError):
        pytest.skip(f"this PyAV has no encoder of {codec}")
    padding = 0.1 if container == "adts" else 0.05  # ADTS does not tell how many samples were added
    assert read_header(path).duration == pytest.approx(3.0, abs=padding)
    waveform = decode_audio(path)
    assert 0.1 < np.abs(waveform).max() < 0.5
    part = decode_audio(path, start=1.0, end=2.0)
    assert np.abs(part - waveform[16_000:32_000])[200:-200].max() < 0.02


def test_the_program_ffmpeg_serves_where_pyav_is_not_installed(write, tmp_path, monkeypatch):
    source, unknown = write("a.wav", subtype="FLOAT"), tmp_path / "a.xyz"
    unknown.write_bytes(b"a format that only FFmpeg knows")
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\nexec cat '{source}'\n")
    program.chmod(0o755)
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr(shutil, "which", lambda name: str(program))
    assert read_header(unknown).duration == pytest.approx(3.0)
    assert np.array_equal(decode_audio(unknown), SPEECH)
    assert np.array_equal(decode_audio(unknown, start=1.0, end=1.5), SPEECH[16_000:24_000])
    program.write_text("#!/bin/sh\necho 'Invalid data' >&2; exit 1\n")
    with pytest.raises(ValueError, match="no audio in it .Invalid data"):
        open_audio(unknown)


def test_without_ffmpeg_the_message_says_how_to_get_it(tmp_path, monkeypatch):
    (tmp_path / "a.m4a").write_bytes(b"\x00\x00\x00\x20ftypM4A ")
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr(ffmpeg.shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match=r'pip install "ser_hf\[formats\]".*ffmpeg -i IN OUT.wav'):
        open_audio(tmp_path / "a.m4a")


def test_a_playlist_opens_no_other_file(write, tmp_path):
    secret = write("secret.wav")
    for name, content in (
        ("a.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{secret}\n#EXT-X-ENDLIST\n"),
        ("a.wav", f"ffconcat version 1.0\nfile '{secret.name}'\n"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(ValueError, match="Cannot read"):
            decode_audio(tmp_path / name)


def test_mpg123_and_ffmpeg_do_not_end_the_process_on_random_bytes(tmp_path):
    (tmp_path / "a.mp3").write_bytes(b"\xff\xf3\x88\xc4" + RNG.bytes(20_000))
    script = (
        "import sys; from ser_hf.data import audio_duration\ntry: audio_duration(sys.argv[1])\nexcept ValueError: pass"
    )
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.mp3")], check=False).returncode == 0


def test_a_placeholder_is_called_what_it_is(tmp_path):
    (tmp_path / "a.wav").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n")
    with pytest.raises(ValueError, match=r"a\.wav' is not audio but a pointer of Git LFS: run 'git lfs install'"):
        open_audio(tmp_path / "a.wav")
