import os
import time

import pytest

from ser_hf.foreign_files import check_file, check_files, parse_yaml, read_json, read_text, read_yaml


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret.txt").write_text("of this machine")
    (tmp_path / "checkpoint").mkdir()
    return tmp_path / "checkpoint"


def test_a_regular_file_and_a_link_within_the_folder_are_read(folder):
    (folder / "a.txt").write_bytes(b"\xef\xbb\xbfcaf\xc3\xa9")
    (folder / "b.txt").symlink_to("a.txt")
    assert read_text(folder / "a.txt") == read_text(folder / "b.txt") == "café"
    check_files(folder)


@pytest.mark.parametrize("target", ["../secret.txt", "/dev/zero", "/dev/null", "/proc/self/status"])
def test_a_link_out_of_the_folder_is_named_and_not_followed(folder, target):
    (folder / "a.json").symlink_to(target)
    for read in (check_file, read_text, read_json, read_yaml):
        with pytest.raises(ValueError, match="a.json' is a link to .*, outside of its folder"):
            read(folder / "a.json")
    with pytest.raises(ValueError, match="outside of its folder"):
        check_files(folder)


def test_a_file_in_a_sub_folder_that_links_out_is_outside(folder):
    (folder.parent / "elsewhere").mkdir()
    (folder.parent / "elsewhere" / "a.png").write_bytes(b"figure")
    (folder / "figures").symlink_to("../elsewhere")
    with pytest.raises(ValueError, match="outside of its folder"):
        check_file(folder / "figures" / "a.png", folder)


def test_pipes_and_sockets_and_loops_do_not_block(folder):
    os.mkfifo(folder / "pipe.yaml")
    (folder / "loop.yaml").symlink_to("loop.yaml")
    began = time.monotonic()
    with pytest.raises(ValueError, match="pipe.yaml' is a pipe, a device or a socket"):
        read_yaml(folder / "pipe.yaml")
    with pytest.raises(ValueError, match="loop.yaml' cannot be read"):
        read_yaml(folder / "loop.yaml")
    with pytest.raises(ValueError, match="is a folder"):
        read_text(folder, folder.parent)
    assert time.monotonic() - began < 1


def test_links_of_the_hubs_cache_stay_within_their_repository(tmp_path):
    snapshot = tmp_path / "models--someone--tiny" / "snapshots" / "0a1b"
    blobs = tmp_path / "models--someone--tiny" / "blobs"
    (snapshot / "onnx").mkdir(parents=True)
    blobs.mkdir()
    (blobs / "77").write_text("{}")
    (tmp_path / "77").write_text("{}")
    (snapshot / "config.json").symlink_to("../../blobs/77")
    (snapshot / "onnx" / "export.json").symlink_to("../../../blobs/77")
    (snapshot / "other.json").symlink_to("../../../77")
    assert read_json(snapshot / "config.json") == read_json(snapshot / "onnx" / "export.json", snapshot) == {}
    with pytest.raises(ValueError, match="outside of its folder"):
        read_json(snapshot / "other.json")


def test_a_file_that_is_too_large_is_not_read(folder):
    (folder / "a.json").touch()
    os.truncate(folder / "a.json", 200_000_000)  # without blocks on the disk
    with pytest.raises(ValueError, match="has 200.0 MB: expected at most 8 MB"):
        read_json(folder / "a.json")
    with pytest.raises(ValueError, match="expected at most 0.256 MB"):
        read_yaml(folder / "a.json")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("- corpus: ravdess\n", "found a list"),
        ("just words", "found a str"),
        ("", "found nothing"),
        ("# only a comment\n", "found nothing"),
        ("7: a\n", "found the key 7, which is not text"),
        ("a: [", "in line 1"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", "could not determine a constructor .* in line 2"),
        ("a: 2024-13-41\n", "month must be in 1..12"),
        ("a: !!bool 3\n", "'3'"),
        ("a: &a [*a]\n", "more than 50 levels"),
        ("a: " + "[" * 100 + "]" * 100, "more than 50 levels"),
    ],
)
def test_yaml_that_is_no_mapping_is_one_sentence(folder, content, found):
    (folder / "recipe.yaml").write_text(content)
    with pytest.raises(ValueError, match=f"recipe.yaml' is damaged: expected YAML .*{found}"):
        read_yaml(folder / "recipe.yaml")


@pytest.mark.parametrize("level", ["a{}: &a{} [{}]\n", "a{}: &a{}\n  <<: [{}]\n"], ids=["aliases", "merge keys"])
def test_yaml_aliases_that_multiply_are_counted_before_they_are_built(level):
    text = "a0: &a0 {x: 1}\n"
    for i in range(1, 12):
        text += level.format(i, i, ", ".join([f"*a{i - 1}"] * 9))
    began = time.monotonic()
    with pytest.raises(ValueError, match="more than 100000 values"):
        parse_yaml(text)
    assert time.monotonic() - began < 5
    assert parse_yaml("a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}\n")["c"] == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("[1]", "found a list"),
        ("null", "found nothing"),
        ('{"a": NaN}', "found NaN, which is not a number"),
        ('{"a": ' + "[" * 200_000, "more than 50 levels"),
        ('{"a": ' + "[" * 60 + "]" * 60 + "}", "more than 50 levels"),
        ('{"a": [' + "1," * 1_100_000 + "1]}", "more than 1000000 values"),
        ('{"a": ' + "9" * 5_000 + "}", "4300 digits"),
        ("{'a': 1}", "double quotes"),
    ],
)
def test_json_that_is_no_object_is_one_sentence(folder, content, found):
    (folder / "config.json").write_text(content)
    with pytest.raises(ValueError, match=f"config.json' is damaged: expected a JSON object, found .*{found}|{found}"):
        read_json(folder / "config.json")
