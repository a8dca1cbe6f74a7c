"""The stored scores are those of the stock pipeline, or the gate refuses the folder and says what differs."""

import json
import re
import shutil

import numpy as np
import pandas
import pytest
import soundfile
from architectures import feature_extractor, tiny_model
from publishing.conftest import write_run
from safetensors.torch import load_file, save_file
from stock_pipeline import run_here

from ser_hf.evaluation import read_predictions, write_predictions
from ser_hf.publishing import agreement, gate
from ser_hf.publishing.agreement import check_agreement, hash_files, measure_agreement, run_pipeline

pytestmark = pytest.mark.usefixtures("fresh_process")

CHANGED = "changed since the comparison at the end of training"
OTHER = "The stored scores are from other preprocessing, weights or labels, so users get other scores."


@pytest.fixture
def folder(published_folder, tmp_path):
    return shutil.copytree(published_folder, tmp_path / "tiny")


@pytest.fixture(scope="module")
def whisper_run(tmp_path_factory, toy_ravdess):
    folder = tmp_path_factory.mktemp("finished") / "whisper"
    tiny_model("whisper").save_pretrained(folder)
    feature_extractor("whisper").save_pretrained(folder)
    write_run(folder, toy_ravdess)
    return folder


@pytest.fixture
def asked(monkeypatch):
    """Ask the stock pipeline in this process, which is faster; the list of utterances of each question."""
    questions = []

    def ask(folder, utterances):
        questions.append(utterances)
        return run_here(folder, utterances)

    monkeypatch.setattr(agreement, "run_pipeline", ask)
    return questions


@pytest.fixture
def refusal(monkeypatch):
    """What the gate says about the agreement, ``refusal(folder, folders=None)``, which nothing else finds at fault."""
    monkeypatch.setattr(gate, "LOADED", ())  # seconds of questions to the model, which test_gate.py asks

    def find(folder, folders=None):
        (fault,) = [check for check in gate.run_gate(folder, folders=folders) if not check.passed]
        assert fault.name == "agreement with the stock pipeline"
        return f"{fault.found}. {fault.remedy}"

    return find


def change_json(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def change_agreement(folder, **values):
    stored = json.loads((folder / "all_results.json").read_text())["agreement"]
    change_json(folder / "all_results.json", agreement=stored | values)


def change_scores(folder, rows):
    """Move 0.01 from the first to the second score of some test utterances, as other preprocessing would."""
    table = read_predictions(folder / "predictions.csv")
    table.loc[rows, "score_angry"] -= 0.01
    table.loc[rows, "score_calm"] += 0.01
    write_predictions(table, folder / "predictions.csv")


def permute_labels(folder):
    names = json.loads((folder / "config.json").read_text())["id2label"]
    names["0"], names["1"] = names["1"], names["0"]
    label2id = {name: int(i) for i, name in names.items()}
    change_json(folder / "config.json", id2label=names, label2id=label2id)


def change_weights(folder):
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"] += np.float32(0.01) * (weights["classifier.bias"] > 0)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def flip_normalization(folder):
    change_json(folder / "preprocessor_config.json", do_normalize=False)


def test_a_fresh_process_confirms_what_a_finished_run_stored(published_folder, toy_ravdess):
    stored = json.loads((published_folder / "all_results.json").read_text())["agreement"]
    measured = measure_agreement(published_folder, {"ravdess": toy_ravdess})
    assert measured.largest_difference < 1e-6
    assert measured.files == stored["files"]
    assert (measured.test, measured.compared, measured.agree, measured.tolerance, measured.error) == (
        8,
        8,
        8,
        1e-4,
        None,
    )
    assert sorted(stored["files"]) == [
        "config.json",
        "model.safetensors",
        "predictions.csv",
        "preprocessor_config.json",
    ]


@pytest.mark.parametrize(
    ("change", "file"),
    [
        (flip_normalization, "preprocessor_config.json"),
        (permute_labels, "config.json"),
        (change_weights, "model.safetensors"),
        (lambda folder: change_scores(folder, [3]), "predictions.csv"),
    ],
    ids=["do_normalize", "labels", "weights", "scores"],
)
def test_what_was_changed_after_the_comparison_is_named(folder, refusal, change, file):
    assert not check_agreement(folder).found.endswith(CHANGED)
    change(folder)
    assert refusal(folder) == f"{file}: {CHANGED}. Restore the files of the run, or run the recipe again."


def test_another_chunk_length_of_whisper_is_named(whisper_run, tmp_path):
    folder = shutil.copytree(whisper_run, tmp_path / "whisper")
    assert check_agreement(folder).passed
    change_json(folder / "preprocessor_config.json", chunk_length=1, n_samples=16_000, nb_max_frames=100)
    check = check_agreement(folder)
    assert (check.passed, check.found) == (False, f"preprocessor_config.json: {CHANGED}")


def test_files_that_came_or_went_after_the_comparison_are_named(folder):
    (folder / "model-00002-of-00002.safetensors").write_bytes(b"")
    (folder / "preprocessor_config.json").unlink()
    (folder / "predictions.csv").unlink()  # stays at home: a copy from the Hub has none
    check = check_agreement(folder)
    assert (check.passed, check.found) == (
        False, f"model-00002-of-00002.safetensors, preprocessor_config.json: {CHANGED}",
    )  # fmt: skip


def test_a_run_that_was_never_compared_is_refused(folder, refusal, toy_ravdess, asked):
    results = json.loads((folder / "all_results.json").read_text())
    del results["agreement"]
    (folder / "all_results.json").write_text(json.dumps(results))
    sentence = (
        "all_results.json has no comparison of the stored predictions with the stock pipeline. "
        "Run the recipe again with this version, which compares them after training."
    )
    assert refusal(folder) == refusal(folder, {"ravdess": toy_ravdess}) == sentence


def test_a_comparison_that_failed_is_refused_with_its_reason(folder, refusal):
    change_agreement(folder, agree=0, largest_difference=None, error="ValueError: no such class")
    assert refusal(folder) == "the stock pipeline fails: ValueError: no such class. Correct the cause of this error."


def test_a_run_that_disagreed_at_its_end_is_refused_with_its_figures(folder, refusal):
    change_agreement(folder, test=240, compared=200, agree=199, largest_difference=0.03)
    assert refusal(folder) == (
        "equal scores for 199 of 200 test utterances (240 in all), largest difference 3.0e-02 (allowed: 0.0001). "
        f"{OTHER} Evaluate the checkpoint on raw, whole files."
    )


@pytest.mark.parametrize("change", [flip_normalization, permute_labels, change_weights])
def test_with_the_data_at_hand_a_change_is_found_though_its_hashes_were_rewritten(
    folder, refusal, asked, toy_ravdess, change
):
    change(folder)
    change_agreement(folder, files=hash_files(folder))
    assert check_agreement(folder).passed  # which trusts them
    words = refusal(folder, {"ravdess": toy_ravdess})
    (agree,) = re.findall(r"equal scores for (\d) of 8 test utterances, largest difference ", words)
    assert int(agree) < 8
    assert OTHER in words
    assert len(asked) == 1


@pytest.mark.slow
def test_with_the_data_at_hand_a_fresh_process_finds_a_changed_prediction(folder, refusal, toy_ravdess):
    change_scores(folder, [7])
    change_agreement(folder, files=hash_files(folder))
    assert refusal(folder, {"ravdess": toy_ravdess}).startswith(
        "equal scores for 7 of 8 test utterances, largest difference 1.0e-02 (allowed: 0.0001)"
    )


def test_emotions_of_other_names_agree_with_nothing(folder, asked, toy_ravdess):
    config = json.loads((folder / "config.json").read_text())
    names = {i: name.replace("angry", "anger") for i, name in config["id2label"].items()}
    change_json(folder / "config.json", id2label=names, label2id={name: int(i) for i, name in names.items()})
    measured = measure_agreement(folder, {"ravdess": toy_ravdess})
    assert (measured.compared, measured.agree, measured.largest_difference) == (8, 0, None)


@pytest.mark.slow
def test_a_pipeline_that_fails_gives_its_reason_and_no_exception(folder, toy_ravdess):
    change_json(folder / "preprocessor_config.json", feature_extractor_type="NoSuchFeatureExtractor")
    measured = measure_agreement(folder, {"ravdess": toy_ravdess})
    assert "NoSuchFeatureExtractor" in measured.error or "feature extractor" in measured.error
    assert "\n" not in measured.error
    assert (measured.test, measured.compared, measured.agree, measured.largest_difference) == (
        8, 8, 0, None,
    )  # fmt: skip


@pytest.mark.slow
def test_answers_before_a_failure_are_kept_and_stretches_are_those_of_the_file(published_folder, tmp_path):
    rng = np.random.default_rng(0)
    stereo = rng.normal(0, 0.1, (48_000, 2)).astype(np.float32)
    soundfile.write(tmp_path / "whole.wav", stereo, 16_000, subtype="FLOAT")
    soundfile.write(tmp_path / "part.wav", stereo.mean(1)[8_000:24_000], 16_000, subtype="FLOAT")
    files = [
        (tmp_path / "whole.wav", 0.5, 1.5),
        (tmp_path / "part.wav", None, None),
        (tmp_path / "gone.wav", None, None),
    ]
    (stretch, part), error = run_pipeline(published_folder, files)
    assert stretch == pytest.approx(part, abs=1e-6)
    assert "gone.wav" in error


def test_a_pipeline_without_an_answer_in_time_is_said_to_have_none(published_folder, monkeypatch):
    monkeypatch.setattr(agreement, "TIME_LIMIT", 0.01)
    assert run_pipeline(published_folder, []) == ([], "no answer within 0.01 s")


def test_of_many_test_utterances_some_are_drawn_the_same_each_time(folder, asked, toy_ravdess, monkeypatch):
    monkeypatch.setattr(agreement, "MOST", 3)
    first, second = (measure_agreement(folder, {"ravdess": toy_ravdess}) for _ in range(2))
    assert (first.test, first.compared, first.agree) == (8, 3, 3)
    assert first == second
    assert asked[0] == asked[1]
    paths = [path for path, _, _ in asked[0]]
    assert paths == sorted(set(paths)) and len(paths) == 3
    everything = sorted(str(path) for path in toy_ravdess.glob("Actor_06/*.wav"))
    assert set(paths) < set(everything) and paths != everything[:3]


def test_300_utterances_are_compared_at_most(folder, toy_ravdess, monkeypatch):
    table = read_predictions(folder / "predictions.csv").query("split == 'test'")
    many = pandas.concat([table.assign(start=i / 1000) for i in range(40)], ignore_index=True)
    write_predictions(many, folder / "predictions.csv")
    drawn = []
    monkeypatch.setattr(agreement, "run_pipeline", lambda folder, utterances: (drawn.extend(utterances), ([], "no"))[1])
    measured = measure_agreement(folder, {"ravdess": toy_ravdess})
    assert (measured.test, measured.compared, len(set(drawn))) == (320, 300, 300)
