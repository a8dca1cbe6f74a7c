"""`ser-hf evaluate`, in this process, of a checkpoint that `recipes/finetune.py` has just made."""

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
import soundfile
from architectures import feature_extractor, tiny_model
from stock_pipeline import run_here
from transformers import pipeline

from ser_hf.cli import main
from ser_hf.corpora import Utterance
from ser_hf.data.audio import audio_duration, decode_audio
from ser_hf.data.hearing import Hearing
from ser_hf.evaluation import read_predictions
from ser_hf.scoring.evaluate import (
    EvaluationArguments,
    Overlap,
    describe_evaluation,
    score_utterances,
)
from ser_hf.serving import EmotionClassifier

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "finetune.py"
SPLIT = ("--protocol", "group_kfold", "--folds", "3", "--fold", "2", "--split_seed", "4")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """RAVDESS in small, at another rate; silence at the ends and between, and some are longer than a window."""
    root, rng = tmp_path_factory.mktemp("ravdess"), np.random.default_rng(0)
    for actor in range(1, 7):
        for emotion in (1, 3, 4, 5):
            times = np.arange(round((0.5 + 0.25 * ((actor + emotion) % 5)) * 22_050)) / 22_050
            speech = 0.3 * np.sin(2 * np.pi * (150 * emotion + 5 * actor) * times) * (1 + np.sin(20 * times))
            speech = np.pad(np.insert(speech, len(times) // 3, np.zeros(12_000)), (3_000, 4_000))
            waveform = speech + 1e-4 * rng.standard_normal(len(speech))
            path = root / f"Actor_{actor:02d}" / f"03-01-{emotion:02d}-01-01-01-{actor:02d}.wav"
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, waveform, 22_050)
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory, corpus):
    """A finished run's output folder."""
    root = tmp_path_factory.mktemp("run")
    encoder = tiny_model("whisper")
    for weight in encoder.encoder.parameters():
        weight.data *= 4 if weight.ndim > 1 else 1  # its states differ between utterances, as those of trained encoders
    encoder.save_pretrained(root / "encoder")
    feature_extractor("whisper").save_pretrained(root / "encoder")
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr("ser_hf.publishing.agreement.run_pipeline", run_here)
    runpy.run_path(str(RECIPE))["main"]([
        "--corpus", "ravdess", "--data_root", str(corpus), *SPLIT, "--trim", "none", "--max_duration", "2",
        "--model_name_or_path", str(root / "encoder"), "--output_dir", str(root / "out"), "--use_cpu", "true",
        "--num_train_epochs", "1", "--learning_rate", "1e-6", "--head_init", "probe", "--dataloader_num_workers", "0",
    ])  # fmt: skip
    monkeypatch.undo()
    return root / "out"


def evaluate(model, root, out, *argv, corpus="ravdess"):
    where = ["--corpus", corpus, "--data_root", str(root), "--output_dir", str(out)]
    return main(["evaluate", "--model", str(model), *where, *argv])


def read(folder):
    return json.loads((folder / "all_results.json").read_text())


def test_its_own_test_speakers_get_the_very_numbers_of_the_training_run(run, corpus, tmp_path, capsys):
    assert evaluate(run, corpus, tmp_path / "out", *SPLIT) == 0
    trained, again = read(run), read(tmp_path / "out")
    assert again["test"] == trained["test"]
    assert again["split"]["test"] == trained["split"]["test"]
    assert again["split"]["speaker_independent"] is True
    stored = read_predictions(run / "predictions.csv").query("split == 'test'").reset_index(drop=True)
    assert trained["context"] == {"seconds": 2.0, "longer": {"validation": 1, "test": 2}}
    assert again["evaluation"]["cut_utterances"] == 2
    assert stored["prediction"].nunique() > 2, "a model that always says the same proves nothing"
    pandas.testing.assert_frame_equal(read_predictions(tmp_path / "out" / "predictions.csv"), stored, rtol=0, atol=1e-5)
    names = {path.name for path in (tmp_path / "out").rglob("*.*")}
    assert names == {"all_results.json", "audio_problems.csv", "confusion.png", "predictions.csv", "speakers.png"}
    assert f"UA               {trained['test']['ua']:.3f} [" in capsys.readouterr().out
    runpy.run_path(str(RECIPE.with_name("compare.py")))["main"]([str(run), str(tmp_path / "out")])
    rows = [line.split("|")[2:6] for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows[0] == rows[1]


def test_a_corpus_of_other_emotions_is_scored_on_those_they_share(run, corpus, tmp_path, capsys):
    for source, emotion in ((1, "sadness"), (2, "Anger"), (3, "bored"), (4, "neutral")):
        for path in sorted((corpus / f"Actor_{source:02d}").iterdir()):
            (tmp_path / "folder" / emotion).mkdir(parents=True, exist_ok=True)
            (tmp_path / "folder" / emotion / path.name).write_bytes(path.read_bytes())
    (tmp_path / "folder" / "neutral" / "broken.wav").write_text("not audio")
    assert evaluate(run, tmp_path / "folder", tmp_path / "out", corpus="folder") == 0
    text = capsys.readouterr().out
    assert "Left out, as the model lacks them: {'bored': 4}." in text
    assert "Not allowed as answers, as the corpus lacks them: happy" in text
    results, table = read(tmp_path / "out"), read_predictions(tmp_path / "out" / "predictions.csv")
    assert results["outputs"] == ["angry", "neutral", "sad"]
    assert results["test"]["utterances"] == len(table) == 12
    assert results["audio"]["skipped"] == 1
    assert set(table["prediction"]) <= set(results["outputs"])
    scores = table[[f"score_{emotion}" for emotion in results["outputs"]]].to_numpy()
    assert list(table.columns[-3:]) == ["score_angry", "score_neutral", "score_sad"]
    assert np.allclose(scores.sum(axis=1), 1)
    assert table["prediction"].tolist() == [results["outputs"][label] for label in scores.argmax(1)]
    evaluation = results["evaluation"]
    assert evaluation["left_out_as_the_model_lacks_them"] == {"bored": 4}
    assert evaluation["no_answers_as_the_corpus_lacks_them"] == ["happy"]
    assert evaluation["preprocessing"] == {
        "name": "pipeline", "trim": "none", "max_duration": None, "window_overlap": 0.5, "speech": "energy",
    }  # fmt: skip
    assert results["split"]["speaker_independent"] is None  # this folder names no speaker


def test_the_scores_are_those_of_the_bare_pipeline_and_what_it_cuts_is_counted(run, corpus, tmp_path, capsys):
    assert evaluate(run, corpus, tmp_path / "out") == 0
    out = capsys.readouterr().out
    assert "9 utterances are longer than the model's context and were cut" in out
    assert read(tmp_path / "out")["evaluation"]["cut_utterances"] == 9
    problems = pandas.read_csv(tmp_path / "out" / "audio_problems.csv")
    assert set(problems["action"]) == {"cut"}
    stock = pipeline("audio-classification", str(run), top_k=None)
    for _, row in read_predictions(tmp_path / "out" / "predictions.csv").iloc[:6].iterrows():
        expected = {answer["label"]: answer["score"] for answer in stock(decode_audio(corpus / row["path"]))}
        assert {name: row[f"score_{name}"] for name in expected} == pytest.approx(expected, abs=1e-5)
    assert evaluate(run, corpus, tmp_path / "windows", "--preprocessing", "windows") == 0
    assert "were cut" not in capsys.readouterr().out
    assert read(tmp_path / "windows")["evaluation"]["cut_utterances"] == 0


def test_a_file_far_beyond_full_scale_is_refused_by_name(run, tmp_path):
    soundfile.write(tmp_path / "loud.wav", np.full(8_000, 9.0), 16_000, subtype="FLOAT")
    utterance = Utterance(path=str(tmp_path / "loud.wav"), corpus="x", emotion="sad", duration=0.5)
    classifier = EmotionClassifier.from_pretrained(run)
    with pytest.raises(ValueError, match="loud.wav': Expected float samples within -1 to 1, found a peak of 9"):
        score_utterances(classifier, [utterance], 8)


def test_speakers_of_the_training_are_told(run, corpus, tmp_path, caplog):
    assert evaluate(run, corpus, tmp_path / "out") == 0
    assert "16 of 24 utterances are by speakers of the model's training" in caplog.text
    assert read(tmp_path / "out")["split"]["speaker_independent"] is False


def test_best_scores_of_emotions_that_the_corpus_lacks_are_counted():
    overlap = Overlap(["calm", "happy", "sad"], ["happy", "sad"], {}, ["calm"])
    scores = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.9, 0.1, 0.0]])
    classifier = SimpleNamespace(hearing=Hearing(), backend="torch", task="categories")
    described = describe_evaluation(EvaluationArguments("model", "out"), classifier, overlap, scores, [], 1.0)
    assert described.best_answer_not_shared == 2


def test_short_utterances_are_left_out_if_asked(run, corpus, tmp_path):
    assert evaluate(run, corpus, tmp_path / "out", "--min_duration", "1.5") == 0
    heard = read_predictions(tmp_path / "out" / "predictions.csv")["path"]
    durations = {path.relative_to(corpus).as_posix(): audio_duration(path) for path in corpus.rglob("*.wav")}
    left_out = durations.keys() - set(heard)
    assert 0 < len(left_out) == read(tmp_path / "out")["audio"]["too_short"] < 24
    assert max(durations[name] for name in left_out) <= min(durations[name] for name in heard)


def test_nothing_is_overwritten_and_keys_of_training_are_refused(run, corpus, tmp_path, capsys):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert evaluate(run, corpus, run) == 2
    assert "is not empty" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    assert evaluate(run, corpus, tmp_path / "out", "--trim", "none") == 2
    assert "Use --preprocessing to choose trimming and windows" in capsys.readouterr().err
    assert evaluate(run, tmp_path / "no corpus", tmp_path / "out", "--batch_size", "0") == 2
    assert "batch_size: expected 1 or more, found 0" in capsys.readouterr().err
