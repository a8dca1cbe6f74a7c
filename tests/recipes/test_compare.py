"""`recipes/compare.py` on stored results."""

import json
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
        [str(GOLDEN / name) for name in ("ravdess_whisper_tiny_fold_1", "ravdess_mel_crnn_fold_1")]
        + ["--output", str(tmp_path / "a.png")]
    )
    table, note = capsys.readouterr().out.split("\n\n")
    head, _, *rows = table.splitlines()
    assert note == ("No differences: predictions.csv is not in ravdess_whisper_tiny_fold_1, ravdess_mel_crnn_fold_1.\n")
    assert head.startswith("| run | UA |")
    assert [row.split("|")[1].strip() for row in rows] == ["`ravdess_whisper_tiny_fold_1`", "`ravdess_mel_crnn_fold_1`"]
    test = json.loads((GOLDEN / "ravdess_whisper_tiny_fold_1" / "all_results.json").read_text())["test"]
    assert f"{100 * test['ua']:.1f} [{', '.join(f'{100 * bound:.1f}' for bound in test['intervals']['ua'])}]" in rows[0]
    assert (tmp_path / "a.png").stat().st_size > 5_000


def test_an_unfinished_run_ends_in_one_sentence(compare, tmp_path):
    with pytest.raises(Exception, match="Expected all_results.json of a finished run"):
        compare([str(tmp_path)])
