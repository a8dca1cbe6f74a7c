"""Train on one corpus and test on another: labels, cells and resuming."""

import runpy
from pathlib import Path

import pandas
import pytest
import yaml
from stored_matrices import read_matrix

from ser_hf import DataArguments, MatrixArguments, ProbeArguments, cross_corpus, probe
from ser_hf.evaluation.predictions import COLUMNS
from ser_hf.runs.speech_data import name_roots
from ser_hf.scoring.label_sets import describe_labels, read_labels
from ser_hf.scoring.matrix import score_cell, tabulate_labels, tabulate_matrix, tabulate_recalls

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "cross_corpus.py"


@pytest.fixture(scope="module")
def toy_urdu(tmp_path_factory, write_audio):
    """URDU in small: four speakers, three of the emotions; the pitch tells the emotion as in `toy_ravdess`."""
    root = tmp_path_factory.mktemp("urdu")
    for speaker in range(1, 5):
        for letter, code in (("N", 1), ("H", 3), ("A", 5)):
            for number in (1, 2):
                path = root / f"SM{speaker}_F{number}_{letter}{speaker}{number}.wav"
                write_audio(path, seconds=0.5, frequency=150 * code + 5 * speaker)
    return root


@pytest.fixture(scope="module")
def toy_turev(tmp_path_factory, write_audio):
    """TurEV-DB in small: four speakers, four emotions."""
    root = tmp_path_factory.mktemp("turev")
    for speaker in range(1001, 1005):
        for name, short, frequency in (
            ("Angry", "kz", 750),
            ("Calm", "sk", 160),
            ("Happy", "mt", 450),
            ("Sad", "hl", 600),
        ):
            for word in ("ev", "su"):
                path = root / "Sound Source" / name / f"{speaker}_{short}_{word}.wav"
                write_audio(path, seconds=0.5, frequency=frequency + speaker - 1000)
    return root


@pytest.fixture(scope="module")
def data(toy_ravdess, toy_urdu, toy_turev):
    roots = [str(toy_ravdess), str(toy_urdu), str(toy_turev)]
    return DataArguments(["ravdess", "urdu", "turev_db"], roots, label_map=["calm=neutral"])


def choose(data, *places, **changes):
    corpora, roots = ([values[i] for i in places] for values in (data.corpus, data.data_root))
    return DataArguments(corpora, roots, **{"label_map": data.label_map} | changes)


@pytest.fixture(scope="module")
def done(data, tmp_path_factory):
    """Models of two corpora, each tested on both."""
    out = tmp_path_factory.mktemp("matrix") / "out"
    arguments = ProbeArguments(str(out), heads=["svm_linear"], processes=1)
    return out, arguments, cross_corpus(probe, choose(data, 1, 2), MatrixArguments(), arguments)


def test_every_model_is_tested_on_every_corpus(done):
    out, _, matrix = done
    assert [row.name for row in matrix.rows] == ["urdu", "turev_db"]
    sizes = {(cell.train, cell.test): (cell.utterances, cell.same_corpus) for cell in matrix.cells}
    assert sizes["urdu", "turev_db"] == (24, False)  # all but those that are sad
    assert sizes["turev_db", "urdu"] == (24, False)
    assert sizes["urdu", "urdu"] == (6, True)  # of one of four speakers
    assert all(cell.labels == ["angry", "happy", "neutral"] for cell in matrix.cells)
    scores = {(cell.train, cell.test): cell.scores["ua"] for cell in matrix.cells}
    assert scores["urdu", "urdu"] == 1.0 and scores["turev_db", "urdu"] > 0.6  # the pitch tells the emotion
    assert read_matrix(out) == matrix
    table = pandas.read_csv(out / "matrix.csv")
    assert len(table) == 4 and table["chance"].round(3).eq(0.333).all()
    assert (out / "figures" / "matrix.png").stat().st_size > 5000


def test_the_tables_say_what_was_held_out_and_which_labels_were_left_out(done):
    _, _, matrix = done
    lines = tabulate_matrix(matrix).splitlines()
    assert lines[0] == "| trained on | urdu, 4 speakers | turev_db, 4 speakers | training | scoring |"
    assert lines[2].startswith("| urdu | **100.0** [100.0, 100.0], 1 speaker |") and lines[2].count("**") == 2
    assert "speaker" not in lines[3].split("|")[2]  # all speakers of the column
    assert "| turev_db | angry 8, happy 8, neutral 8 | calm to neutral | sad 8 |  |" in tabulate_labels(matrix)
    assert "| urdu | angry 8, happy 8, neutral 8 |  |  | sad |" in tabulate_labels(matrix)
    assert tabulate_recalls(matrix).splitlines()[0] == "| trained on | tested on | angry | happy | neutral |"


def test_the_same_command_keeps_what_is_finished(done, data):
    out, arguments, matrix = done
    missing, kept = (out / "scores" / name / "all_results.json" for name in ("urdu_on_turev_db", "turev_db_on_urdu"))
    missing.unlink()  # as if the process had been killed
    before = kept.stat().st_mtime_ns
    again = cross_corpus(probe, choose(data, 1, 2), MatrixArguments(), arguments)
    assert [cell.scores for cell in again.cells] == [cell.scores for cell in matrix.cells]
    assert missing.exists() and kept.stat().st_mtime_ns == before
    with pytest.raises(FileExistsError, match="another recipe .*labels: common there, pairwise here"):
        cross_corpus(probe, choose(data, 1, 2), MatrixArguments(labels="pairwise"), arguments)


def test_two_folders_are_called_by_their_own_names():
    def name(*roots):
        return list(name_roots(DataArguments(["folder"] * len(roots), list(roots))))

    assert name("data/acted", "~/natural") == ["acted", "natural"]
    assert name("data/acted") == ["folder"]
    assert name("a/wav", "b/wav") == ["folder", "folder_2"]  # the names of the folders are no help


@pytest.mark.slow
def test_models_of_all_corpora_but_one_have_equal_weights(data, tmp_path):
    arguments = ProbeArguments(str(tmp_path / "out"), heads=["logistic_regression"], processes=1)
    matrix = cross_corpus(probe, data, MatrixArguments(["all_but_one"]), arguments)
    assert [row.name for row in matrix.rows] == ["urdu + turev_db", "ravdess + turev_db", "ravdess + urdu"]
    sizes = {(cell.train, cell.test): (cell.utterances, cell.same_corpus) for cell in matrix.cells}
    assert len(sizes) == 9 and sizes["urdu + turev_db", "ravdess"] == (36, False)
    assert sizes["ravdess + urdu", "urdu"][1]
    recipe = yaml.safe_load((tmp_path / "out" / "models" / "ravdess_urdu" / "recipe.yaml").read_text())
    assert recipe["balance_corpora"] is True


@pytest.mark.parametrize(
    ("places", "changes", "message"),
    [
        ((1, 2), {"label_map": ["happy="]}, r"share, found \['angry'\]: urdu has \['angry', 'neutral'\]; turev_db has"),
        ((1, 2), {"label_map": ["joyless=sad"]}, r"label_map renames \['joyless'\]"),
        ((1,), {"label_map": []}, "two or more corpora"),
        ((0, 1), {"protocol": "emobox", "label_map": []}, "Unknown protocol 'emobox' for \\['urdu'\\]"),
    ],
)
def test_corpora_that_cannot_be_compared_end_in_one_sentence(data, tmp_path, places, changes, message):
    with pytest.raises(ValueError, match=message):
        arguments = ProbeArguments(str(tmp_path / "out"), processes=1)
        cross_corpus(probe, choose(data, *places, **changes), MatrixArguments(), arguments)
    assert not (tmp_path / "out" / "models").exists()


def test_pairwise_labels_are_those_of_each_pair(data):
    labels = describe_labels(read_labels(data), None)
    assert labels["urdu"].used == {"angry": 8, "happy": 8, "neutral": 8}
    assert labels["ravdess"].used == {"angry": 12, "happy": 12, "neutral": 12, "sad": 12}
    assert labels["turev_db"].mapped == {"calm": "neutral"}
    assert labels["urdu"].absent == ["sad"]


def test_scores_of_other_labels_are_removed():
    row = dict.fromkeys(COLUMNS) | {"corpus": "urdu", "split": "test"}
    scores = {"score_calm": 0.6, "score_happy": 0.1, "score_sad": 0.3}
    targets = (("a", "1", "sad"), ("b", "2", "sad"), ("c", "2", "happy"), ("d", "1", "calm"))
    rows = [row | {"path": path, "speaker": speaker, "target": target} | scores for path, speaker, target in targets]
    table = pandas.DataFrame(rows).assign(prediction="calm")
    cell = score_cell("ravdess", "urdu", table, ["sad", "happy"], same_corpus=True)
    assert (cell.utterances, cell.labels, cell.scores["ua"]) == (3, ["happy", "sad"], 0.5)
    assert cell.recalls["sad"][0] == 1.0 and cell.recalls["happy"][0] == 0.0


@pytest.mark.parametrize(
    ("rows", "message"), [(["ravdess+emodb"], r"found \['emodb'\]"), (["two"], r"found \['two'\]")]
)
def test_an_unknown_training_corpus_ends_in_one_sentence(rows, message):
    with pytest.raises(ValueError, match=message):
        MatrixArguments(train=rows).list_rows(["ravdess", "urdu"])


def test_help_needs_no_recipe(capsys):
    runpy.run_path(str(RECIPE))["main"](["--help"])
    assert "recipes/cross_corpus.py probe" in capsys.readouterr().out


@pytest.mark.slow
def test_a_protocol_cross_validates_the_models_own_corpus(data, toy_ravdess, toy_urdu, tmp_path):
    out, roots = tmp_path / "out", ["--data_root", str(toy_ravdess), str(toy_urdu)]
    folds = ["--protocol", "group_kfold", "--folds", "3", "--heads", "svm_linear", "--processes", "1"]
    runpy.run_path(str(RECIPE))["main"](
        ["probe", "--corpus", "ravdess", "urdu", *roots, *folds, "--output_dir", str(out)]
    )
    matrix = read_matrix(out)
    sizes = {(cell.train, cell.test): cell.utterances for cell in matrix.cells}
    assert sizes["ravdess", "ravdess"] == 36 and sizes["urdu", "urdu"] == 24  # all speakers
    assert "the protocol group_kfold" in matrix.split
