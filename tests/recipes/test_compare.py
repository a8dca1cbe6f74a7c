"""`recipes/compare.py` on stored results."""

import json
import runpy
import shutil
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
    assert note.splitlines() == [
        "No differences: predictions.csv is not in ravdess_whisper_tiny_fold_1, ravdess_mel_crnn_fold_1.",
        f"Figure: {tmp_path / 'a.png'}",
    ]
    assert head.startswith("| run | UA |")
    assert [row.split("|")[1].strip() for row in rows] == ["`ravdess_whisper_tiny_fold_1`", "`ravdess_mel_crnn_fold_1`"]
    test = json.loads((GOLDEN / "ravdess_whisper_tiny_fold_1" / "all_results.json").read_text())["test"]
    assert f"{100 * test['ua']:.1f} [{', '.join(f'{100 * bound:.1f}' for bound in test['intervals']['ua'])}]" in rows[0]
    assert (tmp_path / "a.png").stat().st_size > 5_000


def test_the_figure_says_in_words_what_each_run_is(compare, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("ser_hf.evaluation.figures.plot_runs", lambda runs, label, path: drawn.append((runs, label)))
    names = ["ravdess_whisper_tiny", "ravdess_mel_crnn", "folder_probe", "ravdess_probe_whisper_tiny_normalized"]
    shutil.copytree(GOLDEN / "ravdess_mel_crnn", tmp_path / "another")
    folders = [*(str(GOLDEN / name) for name in names), str(tmp_path / "another")]
    compare([*folders, "--output", str(tmp_path / "a.png")])
    ((runs, label),) = drawn
    assert label == "unweighted average recall (UA) in %"
    assert [run.title for run in runs] == [
        "Whisper tiny en, frozen + linear readout of its layers (A)",
        "log-mel CRNN, from random weights (ravdess mel crnn) (A)",
        "Whisper tiny en, frozen + best of 3 heads (B)",
        "ravdess probe whisper tiny normalized (A)",  # of an older version, without its recipe
        "log-mel CRNN, from random weights (another) (A)",
    ]
    compare([*folders[:2], "--output", str(tmp_path / "a.png"), "--titles", "one", "two"])
    assert [run.title for run in drawn[1][0]] == ["one", "two"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--output", "a.png", "--titles", "one"], "titles: expected one for each of 2 folders, found 1."),
        (["--titles", "one", "two"], "titles needs --output."),
        (["--output", "a.txt"], "output: expected a file with the extension .png, found 'a.txt'."),
        (["--output", "nofolder/a.png"], "output: expected a file in an existing folder, found 'nofolder/a.png'."),
    ],
)
def test_a_wrong_option_is_refused_before_the_runs_are_read(compare, tmp_path, capsys, options, message):
    with pytest.raises(SystemExit):
        compare([str(tmp_path / "one"), str(tmp_path / "two"), *options])
    assert message in capsys.readouterr().err


def test_folders_of_one_name_are_told_apart_by_their_parents(compare, tmp_path, capsys):
    folders = [tmp_path / name / "fold_1" for name in ("a", "b")]
    for folder in folders:
        shutil.copytree(GOLDEN / "ravdess_mel_crnn_fold_1", folder)
    compare([str(folder) for folder in folders])
    rows = capsys.readouterr().out.splitlines()[2:4]
    assert [row.split("|")[1].strip() for row in rows] == ["`a/fold_1`", "`b/fold_1`"]


def test_an_unfinished_run_ends_in_one_sentence(compare, tmp_path):
    with pytest.raises(Exception, match="Expected all_results.json of a finished run"):
        compare([str(tmp_path)])


def add_rows(folder, *paths):
    lines = [f"{path},,,x,1,,test,sad,sad,0.2,0.8" for path in paths]
    header = "path,start,end,corpus,speaker,gender,split,target,prediction,score_happy,score_sad"
    (folder / "predictions.csv").write_text("\n".join([header, *lines, ""]))


@pytest.fixture
def runs(tmp_path):
    """Two runs with the same numbers of test utterances of each speaker and emotion."""
    for name in ("one", "two"):
        shutil.copytree(GOLDEN / "ravdess_mel_crnn_fold_1", tmp_path / name)
    return tmp_path / "one", tmp_path / "two"


def test_runs_of_other_test_utterances_are_marked(compare, runs, capsys):
    one, two = runs
    add_rows(one, "a.wav", "b.wav")
    add_rows(two, "a.wav", "c.wav")
    compare([str(one), str(two), str(one)])
    _, _, *rows, empty, note = capsys.readouterr().out.splitlines()[:7]
    assert [row.split("|")[1].strip() for row in rows] == ["`one` (A)", "`two` (B)", "`one` (A)"]
    assert (empty, note) == (
        "",
        "Different letters mark different test utterances or folds: these scores are not comparable.",
    )


def test_the_order_of_the_rows_makes_no_other_test_set(compare, runs, capsys):
    one, two = runs
    add_rows(one, "a.wav", "b.wav")
    add_rows(two, "b.wav", "a.wav")
    compare([str(one), str(two)])
    assert "(A)" not in capsys.readouterr().out


def test_other_speakers_or_folds_are_seen_without_predictions(compare, capsys):
    names = ("ravdess_probe_classical", "ravdess_probe_classical_random", "ravdess_mel_crnn")
    compare([str(GOLDEN / name) for name in names])
    rows = capsys.readouterr().out.splitlines()[2:5]
    assert [row.split("|")[1].strip()[-3:] for row in rows] == ["(A)", "(B)", "(A)"]


def test_runs_of_ratings_are_compared_by_their_metrics(compare, tmp_path, capsys):
    results = json.loads((GOLDEN / "ravdess_mel_crnn_fold_1" / "all_results.json").read_text())
    scores = {"utterances": 4, "speakers": 2, "ccc": 0.5, "pearson": 0.75, "warning": None, "interval_unit": "speaker"}
    scores |= {"intervals": {"ccc": [0.25, 0.625], "pearson": [0.5, 0.875]}, "per_dimension": {}, "per_speaker": {}}
    results |= {"task": "dimensions", "outputs": ["arousal"], "test": scores, "validation": scores}
    results |= {"rating_scale": [1, 5], "calibration": None, "recommended": None}
    (tmp_path / "rated").mkdir()
    (tmp_path / "rated" / "all_results.json").write_text(json.dumps(results))
    compare([str(tmp_path / "rated"), "--output", str(tmp_path / "a.png")])
    head, _, row, _ = capsys.readouterr().out.splitlines()
    assert head.startswith("| run | CCC | Pearson | speakers")
    assert row.startswith("| `rated` | 0.500 [0.250, 0.625] | 0.750 [0.500, 0.875] | 2 / 4 |")
    with pytest.raises(ValueError, match="Expected runs of one task, found categories, dimensions"):
        compare([str(tmp_path / "rated"), str(GOLDEN / "ravdess_mel_crnn_fold_1")])
