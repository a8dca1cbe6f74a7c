"""Damaged files through every path that reads audio: no crash, no hang, no file that is not counted."""

import random

import fuzz_audio
import pytest


def test_a_hundred_and_sixty_damaged_files_are_all_counted(tmp_path):
    found = fuzz_audio.fuzz(tmp_path, 160)
    assert found["error"] + found["predicted"] + found["partial"] == 320  # each file with two kinds of preprocessing
    assert found["timeline"] + found["no timeline"] == 160
    assert min(found["error"], found["predicted"], found["partial"]) > 20


@pytest.mark.slow
def test_ten_thousand_damaged_files_are_all_counted(tmp_path):
    found = fuzz_audio.fuzz(tmp_path, 10_000)
    assert found["error"] + found["predicted"] + found["partial"] == 20_000
    assert found["timeline"] + found["no timeline"] == 10_000


def test_the_damage_depends_on_the_number_only_and_is_of_many_kinds():
    content = fuzz_audio.write_seeds()["flac"]
    damaged = [fuzz_audio.damage(content, random.Random(number)) for number in range(50)]
    assert damaged == [fuzz_audio.damage(content, random.Random(number)) for number in range(50)]
    assert len(set(damaged)) > 45
