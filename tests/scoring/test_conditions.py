"""The robustness table: the same utterances under degraded conditions."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from architectures import feature_extractor, tiny_model

from ser_hf import DataArguments, evaluate
from ser_hf.evaluation import read_predictions, write_predictions
from ser_hf.runs.results import read_results, write_results
from ser_hf.scoring import conditions
from ser_hf.scoring.condition_comparison import compare_conditions, tabulate_comparison
from ser_hf.scoring.conditions import standard_conditions, tabulate_conditions
from ser_hf.scoring.evaluate import describe_scores
from ser_hf.scoring.evaluation_arguments import EvaluationArguments
from ser_hf.workflows.conditions_card import check_run, update_card

EMOTIONS = ("angry", "disgust", "fearful", "happy", "neutral", "sad")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny_model("wav2vec2-layer", emotions=EMOTIONS).save_pretrained(folder)
    feature_extractor("wav2vec2-layer").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory, write_audio):
    """Twelve utterances of two speakers."""
    root = tmp_path_factory.mktemp("folder")
    for i, emotion in enumerate(EMOTIONS):
        for speaker in (1, 2):
            write_audio(root / emotion / f"s{speaker}.wav", frequency=150 + 100 * i + 20 * speaker, seconds=2.2)
    return DataArguments(["folder"], [str(root)], speaker_pattern="(s[12])")


@pytest.fixture(scope="module")
def scored(checkpoint, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("scored") / "out"
    return out, evaluate(data, EvaluationArguments(str(checkpoint), str(out), conditions="standard"))


def test_every_condition_is_scored_on_the_same_utterances(scored):
    out, results = scored
    assert len(results.conditions) == 25
    clean = read_predictions(out / "predictions.csv")
    for name in results.conditions:
        table = read_predictions(out / "conditions" / f"{name}.csv")
        assert table["path"].tolist() == clean["path"].tolist()
        same = np.allclose(table["score_sad"], clean["score_sad"], atol=1e-4)
        assert same == (name == "gain_-30"), name  # the feature extractor normalises the level
    assert (out / "figures" / "conditions.png").stat().st_size > 5000
    assert read_results(out) == results


def test_the_table_gives_score_change_calibration_and_share_of_uncertain(scored):
    _, results = scored
    head, clean, first, *_ = tabulate_conditions(results)
    assert head == ["condition", "UA", "change [95 % interval]", "ECE", "uncertain"]
    assert clean[:2] == ["clean", f"{100 * results.test.ua:.1f}"]
    assert first[0] == "white_20"
    assert float(first[1]) == pytest.approx(100 * results.conditions["white_20"].scores["ua"], abs=0.06)
    assert "speed_1.1" in describe_scores(results, "out")


@pytest.mark.slow
def test_an_interrupted_table_continues_and_gives_the_same(scored, checkpoint, data, monkeypatch):
    out, results = scored
    before = {path.name: path.read_bytes() for path in (out / "conditions").iterdir()}
    for path in (out / "all_results.json", out / "conditions" / "gsm.csv"):
        path.unlink()
    for name in ("figures", "audio_problems.csv"):
        assert (out / name).exists()
    again = evaluate(data, EvaluationArguments(str(checkpoint), str(out), conditions="standard"))
    assert again.conditions == results.conditions
    assert {path.name: path.read_bytes() for path in (out / "conditions").iterdir()} == before


def test_the_table_of_another_model_is_not_continued(scored, data, tmp_path):
    out, _ = scored
    (out / "all_results.json").unlink()
    other = tiny_model("wav2vec2-layer", emotions=EMOTIONS)
    other.classifier.bias.data[0] += 1
    other.save_pretrained(tmp_path)
    feature_extractor("wav2vec2-layer").save_pretrained(tmp_path)
    with pytest.raises(FileExistsError, match="unfinished evaluation of another model or of other utterances"):
        evaluate(data, EvaluationArguments(str(tmp_path), str(out), conditions="standard"))


def test_a_condition_that_this_machine_lacks_is_a_row_that_says_so(scored, monkeypatch, checkpoint, data, tmp_path):
    def fail(spectrum):
        def missing(waveform, generator, voices):
            raise ValueError("libsndfile cannot write GSM610")

        return {"gsm": missing, "cut_1s": standard_conditions(spectrum)["cut_1s"]}

    monkeypatch.setattr(conditions, "standard_conditions", fail)
    results = evaluate(data, EvaluationArguments(str(checkpoint), str(tmp_path / "out"), conditions="standard"))
    assert results.conditions["gsm"].error == "libsndfile cannot write GSM610"
    assert tabulate_conditions(results)[2][2] == "not computed: libsndfile cannot write GSM610"
    assert 0 <= results.conditions["cut_1s"].scores["ua"] <= 1


def test_babble_is_of_other_speakers():
    condition = standard_conditions(np.ones(257))["babble_0"]
    voice = np.sin(np.arange(16_000)).astype(np.float32)
    changed = condition(np.ones(16_000, np.float32), np.random.default_rng(0), [voice])
    assert not np.allclose(changed, 1)


def test_the_table_and_figure_of_a_finished_run_are_on_its_card(checkpoint, scored, tmp_path):
    golden = Path(__file__).resolve().parents[1] / "golden" / "ravdess_whisper_tiny_fold_1"
    run, out = tmp_path / "run", scored[0]
    shutil.copytree(golden, run)
    (run / "figures").mkdir(exist_ok=True)
    with pytest.raises(FileNotFoundError, match="finished run with predictions.csv"):
        check_run(str(run))
    shutil.copy(out / "predictions.csv", run)
    write_results(out, scored[1])  # an earlier test has deleted it
    check_run(str(run))
    update_card(str(run), str(out))
    card = (run / "README.md").read_text(encoding="utf-8")
    row = f"| gsm | {100 * scored[1].conditions['gsm'].scores['ua']:.1f} | "
    assert row in card and "![Test score under degraded conditions](figures/conditions.png)" in card
    assert "the degraded conditions above are simulated" in card and "unchanged recordings" not in card
    assert read_results(run).conditions == scored[1].conditions
    assert (run / "figures" / "conditions.png").exists()


def test_the_card_of_other_test_utterances_is_unchanged(scored, tmp_path):
    golden = Path(__file__).resolve().parents[1] / "golden" / "ravdess_whisper_tiny_fold_1"
    run, out = tmp_path / "run", scored[0]
    shutil.copytree(golden, run)
    write_predictions(read_predictions(out / "predictions.csv").iloc[1:], run / "predictions.csv")
    write_results(out, scored[1])
    before = (run / "all_results.json").read_bytes()
    with pytest.raises(ValueError, match="expected the 11 test utterances of .*, found 12, of which 11 are among them"):
        update_card(str(run), str(out))
    assert (run / "all_results.json").read_bytes() == before


@pytest.mark.parametrize("options", [{}, {"conditions": "standard", "preprocessing": "windows"}])
def test_a_card_is_updated_with_conditions_in_the_stock_preprocessing_only(options):
    with pytest.raises(ValueError, match="update_card: expected with --conditions standard"):
        EvaluationArguments("model", "out", update_card=True, **options)


def test_two_models_are_compared_condition_by_condition(scored, tmp_path):
    out, results = scored
    write_results(out, results)
    other = tmp_path / "other"
    shutil.copytree(out, other)
    table = read_predictions(other / "conditions" / "gsm.csv")
    write_predictions(table.assign(prediction=table["target"]), other / "conditions" / "gsm.csv")  # all right
    rows = {row.condition: row for row in compare_conditions(out, other)}
    assert list(rows)[0] == "clean" and list(rows)[-1] == "mean over conditions" and len(rows) == 27
    assert rows["gsm"].second == 1.0 and rows["white_20"].difference.difference == 0.0
    assert rows["gsm"].first == pytest.approx(results.conditions["gsm"].scores["ua"])
    gain = 1 - rows["gsm"].first
    assert rows["mean over conditions"].difference.difference == pytest.approx(gain / 25)
    assert rows["mean over conditions"].first == pytest.approx(
        np.mean([record.scores["ua"] for record in results.conditions.values()])
    )
    text = tabulate_comparison([rows["gsm"]], "plain", "robust")
    assert "| condition | plain | robust | difference [95 % interval] | p |" in text
    assert f"| gsm | {100 * rows['gsm'].first:.1f} | 100.0 | {100 * gain:+.1f} [" in text
