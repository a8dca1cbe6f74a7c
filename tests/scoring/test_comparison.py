"""Runs are compared on the utterances that they share, and so is a table of anyone's predictions."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas
import pytest

from ser_hf.evaluation import write_predictions
from ser_hf.scoring.comparison import compare_predictions, read_answers, read_run

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "ravdess_mel_crnn_fold_1"
EMOTIONS = json.loads((GOLDEN / "all_results.json").read_text())["outputs"]


@pytest.fixture
def run(tmp_path):
    """Return ``run(name, share)``: a run with predictions of ten speakers, of which a share is right."""

    def write(name, share, speakers=range(10)):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(GOLDEN / "all_results.json", folder)
        rows = [(f"{s}/{emotion}.wav", f"{s}", emotion) for s in speakers for emotion in EMOTIONS]
        table = pandas.DataFrame(rows, columns=["path", "speaker", "target"])
        right = np.random.default_rng(0).random(len(rows)) < share
        wrong = EMOTIONS[1:] + EMOTIONS[:1]
        guesses = [wrong[EMOTIONS.index(target)] for target in table["target"]]
        table["prediction"] = np.where(right, table["target"], guesses)
        scores = {f"score_{name}": (table["prediction"] == name).astype(float) for name in EMOTIONS}
        columns = {"start": np.nan, "end": np.nan, "corpus": "x", "gender": None, "split": "test"}
        table = table.assign(**columns, **scores)
        order = ["path", "start", "end", "corpus", "speaker", "gender", "split", "target", "prediction", *scores]
        write_predictions(table[order], folder / "predictions.csv")
        return folder

    return write


def test_two_runs_differ_by_the_planted_share(run):
    (results, first), (_, second) = read_run(run("a", 0.5)), read_run(run("b", 0.75))
    (found,) = compare_predictions(results, first, [("b", second)])
    assert (found.utterances, found.left_out, found.speakers) == (80, 0, 10)
    wa = found.differences["wa"]
    shares = np.random.default_rng(0).random(80)
    assert wa.difference == pytest.approx(((shares < 0.75).sum() - (shares < 0.5).sum()) / 80)
    assert 0 < wa.interval[0] < wa.difference < wa.interval[1] < 0.5
    assert wa.p_value < 0.02
    assert wa.higher + wa.lower <= 10
    assert wa.lower == 0


def test_only_shared_utterances_are_compared(run):
    (results, first), (_, second) = read_run(run("a", 0.5)), read_run(run("b", 0.75, speakers=range(5, 15)))
    (found,) = compare_predictions(results, first, [("b", second)])
    assert (found.utterances, found.left_out, found.speakers) == (40, 80, 5)


def test_the_folds_of_a_cross_validation_are_joined(run):
    folder = run("all", 0.5)
    (folder / "predictions.csv").unlink()
    for fold, speakers in enumerate((range(5), range(5, 10)), 1):
        run(f"all/fold_{fold}", 0.5, speakers)
    _, table = read_run(folder)
    assert len(table) == 80


def test_a_run_without_predictions_has_none(tmp_path):
    shutil.copy(GOLDEN / "all_results.json", tmp_path)
    results, table = read_run(tmp_path)
    assert table is None
    assert results.outputs[0] == "angry"


def test_other_targets_are_refused(run):
    (results, first), (_, second) = read_run(run("a", 0.5)), read_run(run("b", 0.75))
    with pytest.raises(ValueError, match="'b': expected the targets of the first run .* the same task and label map"):
        compare_predictions(results, first, [("b", second.assign(target=EMOTIONS[0]))])


def test_anyones_answers_are_compared_like_a_run(run, tmp_path):
    results, first = read_run(run("a", 0.5))
    rows = "".join(f"{path},{target}\n" for path, target in zip(first["path"], first["target"], strict=True))
    (tmp_path / "theirs.csv").write_text("path,prediction\n" + rows)
    (found,) = compare_predictions(results, first, [("theirs", read_answers(tmp_path / "theirs.csv", first))])
    right = (np.random.default_rng(0).random(80) < 0.5).mean()  # of the first run; theirs are all right
    assert found.differences["ua"].difference == pytest.approx(1 - right)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,prediction\n0/sad.wav,sad\n", "expected the columns path, prediction; path not found"),
        ("path,emotion\n0/sad.wav,sad\n", "expected the columns path, prediction; prediction not found"),
        ("path,prediction\n/data/0/sad.wav,sad\n", "expected paths such as '0/angry.wav', found '/data/0/sad.wav'"),
        ("path,prediction\n0/sad.wav,Sad\n", r"expected predictions among \['angry'.*found \['Sad'\]"),
        ("path,prediction\n0/sad.wav,sad\n0/sad.wav,sad\n", "expected each utterance once, found '0/sad.wav' twice"),
    ],
)
def test_damaged_answers_are_one_sentence(run, tmp_path, text, message):
    _, first = read_run(run("a", 0.5))
    (tmp_path / "theirs.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_answers(tmp_path / "theirs.csv", first)


def test_the_predictions_of_a_run_are_read_like_anyones(run, tmp_path):
    folder = run("a", 0.5)
    results, first = read_run(folder)
    (found,) = compare_predictions(results, first, [("same", read_answers(folder / "predictions.csv", first))])
    assert (found.utterances, found.differences["ua"].difference) == (80, 0.0)


def test_of_votes_and_ratings_the_scores_are_needed(tmp_path):
    keys = {"corpus": "x", "path": "a.wav", "start": np.nan, "end": np.nan, "speaker": "1"}
    first = pandas.DataFrame([keys | {"target_arousal": 0.5, "score_arousal": 0.25}])
    (tmp_path / "theirs.csv").write_text("path,prediction\na.wav,sad\n")
    with pytest.raises(ValueError, match="expected the columns path, score_arousal; score_arousal not found"):
        read_answers(tmp_path / "theirs.csv", first)
    (tmp_path / "theirs.csv").write_text("path,score_arousal\na.wav,0.75\n")
    assert read_answers(tmp_path / "theirs.csv", first)["score_arousal"].tolist() == [0.75]
