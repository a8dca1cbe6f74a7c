import os

import pytest

from ser_hf.corpora.placeholders import describe_placeholder

POINTERS = {
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n": ("a pointer of Git LFS", "git lfs pull"),
    b"/annex/objects/MD5E-s7--0.wav\n": ("a pointer of git-annex", "git annex get"),
    b"\n<!DOCTYPE html>\n<title>Sign in</title>": ("an HTML page", "login"),
    b"\xef\xbb\xbf<HTML><body>": ("an HTML page", "login"),
    b"<?xml version='1.0'?><Error><Code>AccessDenied": ("an XML text", "download it again"),
    b"<Error><Code>NoSuchKey": ("an XML text", "download it again"),
    b'{"url": "https://docs.example.com/x"}': ("a JSON text", "shortcut of a cloud drive"),
    b"PK\x03\x04\x14\x00": ("a ZIP archive", "unzip"),
    b"\x1f\x8b\x08\x00": ("a gzip archive", "tar xf"),
}


@pytest.mark.parametrize(("content", "parts"), POINTERS.items())
def test_what_is_named_audio_is_called_what_it_is(tmp_path, content, parts):
    (tmp_path / "a.wav").write_bytes(content)
    found = describe_placeholder(tmp_path / "a.wav")
    assert found.startswith(f"'{tmp_path}/a.wav' is not audio but ")
    assert all(part in found for part in parts)


def test_a_file_without_content_is_a_placeholder(tmp_path):
    (tmp_path / "empty.wav").touch()
    with (tmp_path / "online.wav").open("wb") as file:
        file.truncate(100_000)  # no block on the disk
    assert "an empty file" in describe_placeholder(tmp_path / "empty.wav")
    assert "a placeholder of a cloud drive" in describe_placeholder(tmp_path / "online.wav")


def test_audio_other_content_and_special_files_are_no_placeholders(tmp_path, write_audio):
    write_audio(tmp_path / "a.wav")
    (tmp_path / "b.wav").write_bytes(b"noise")
    os.mkfifo(tmp_path / "c.wav")
    for name in ("a.wav", "b.wav", "c.wav", "missing.wav"):
        assert describe_placeholder(tmp_path / name) is None
