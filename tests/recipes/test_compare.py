"""`recipes/compare.py` on stored results."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"


@pytest.fixture
def compare():
    return runpy.run_path(str(ROOT / "recipes" / "compare.py"))["main"]


def test_runs_are_set_side_by_side(compare, tmp_path, capsys):
    compare(
        [str(GOLDEN / name) for name in ("ravdess_whisper_tiny_fold_1", "ravdess_mel_crnn")]
        + ["--output", str(tmp_path / "a.png")]
    )
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("| run | UA |")
    assert [row.split("|")[1].strip() for row in rows] == ["`ravdess_whisper_tiny_fold_1`", "`ravdess_mel_crnn`"]
    assert "73.4 [66.8, 77.3]" in rows[0]
    assert (tmp_path / "a.png").stat().st_size > 5_000


def test_an_unfinished_run_ends_in_one_sentence(compare, tmp_path):
    with pytest.raises(SystemExit, match="expected all_results.json of a finished run"):
        compare([str(tmp_path)])
