"""The root card and the tables of the READMEs say what the stored results say."""

import json
import re
from pathlib import Path

import cattrs
import pytest
import yaml
from stored_matrices import read_matrix

from ser_hf.publishing import render_card
from ser_hf.runs.command_line import parse_recipe
from ser_hf.runs.recipe import list_differences, resolve_recipe
from ser_hf.runs.recipe_files import describe_recipe
from ser_hf.runs.results import read_results
from ser_hf.runs.task_options import complete_arguments
from ser_hf.scoring.adaptation import describe_curve
from ser_hf.scoring.condition_comparison import ConditionComparison, tabulate_comparison
from ser_hf.scoring.matrix import tabulate_matrix, tabulate_recalls

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"
RUNS = sorted(path.parent for path in GOLDEN.glob("*/all_results.json"))


def interval(summary, metric):
    low, high = summary["intervals"][metric]
    return f"{100 * summary[metric]:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def test_the_root_card_is_rendered_from_the_stored_results():
    results = read_results(GOLDEN / "ravdess_whisper_tiny_fold_1")
    card = render_card(GOLDEN / "ravdess_whisper_tiny_fold_1", results, repo_id="ser_hf/whisper-tiny-ravdess")
    assert (ROOT / "model_card.md").read_text(encoding="utf-8") == str(card)


@pytest.mark.parametrize("run", RUNS, ids=lambda path: path.name)
def test_the_tables_hold_the_stored_scores(run):
    results = json.loads((run / "all_results.json").read_text(encoding="utf-8"))
    (row,) = (
        line
        for line in (ROOT / "recipes" / "README.md").read_text(encoding="utf-8").splitlines()
        if f"`{run.name}`" in line
    )
    assert interval(results["test"], "ua") in row
    assert interval(results["test"], "wa") in row
    assert f"{results['training']['seconds'] / 60:.0f} min" in row
    assert interval(results["test"], "ua") in " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())


@pytest.mark.parametrize(
    ("name", "folds"),
    [
        ("ravdess/whisper_tiny", "the six EmoBox folds"),
        ("ravdess/mel_crnn", "the six EmoBox folds"),
        ("ravdess/probe_classical", "the six EmoBox folds"),
        ("ravdess/probe_whisper_tiny", "the six EmoBox folds"),
        ("folder/whisper_tiny", "five folds of URDU (29 speakers, four emotions)"),
        ("folder/probe", "five folds of URDU (29 speakers, four emotions)"),
    ],
)
def test_the_recipes_name_their_stored_scores(name, folds):
    results = json.loads((GOLDEN / name.replace("/", "_") / "all_results.json").read_text(encoding="utf-8"))
    text = describe_recipe(ROOT / "recipes" / "configs" / f"{name}.yaml")
    assert text.endswith(f". UA {interval(results['test'], 'ua')} on {folds}.")


def test_the_curve_of_the_adaptation_is_the_stored_one():
    curve = json.loads((GOLDEN / "ravdess_whisper_tiny_adaptation" / "adaptation.json").read_text(encoding="utf-8"))
    rows = [f"| {' | '.join(row)} |" for row in describe_curve(curve)]
    lines = (ROOT / "recipes" / "README.md").read_text(encoding="utf-8").splitlines()
    start = lines.index(rows[0])
    assert [lines[start], *lines[start + 2 : start + 1 + len(rows)]] == rows
    claim = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    by_size = {point["clips"]: point["ua"] for point in curve["points"] if point["mix"] == "as recorded"}
    for value in (curve["without"], by_size[5], by_size[None]):
        assert f"{100 * value:.1f}" in claim[claim.index("## One voice") : claim.index("the whole curve")]


@pytest.mark.parametrize("name", ["whisper_tiny", "mel_crnn"])
def test_the_stored_runs_are_those_of_the_recipes(name, tmp_path):
    path = ROOT / "recipes" / "configs" / "ravdess" / f"{name}.yaml"
    arguments = parse_recipe([str(path), "--data_root", "x", "--use_cpu", "true", "--output_dir", str(tmp_path)])
    stored = yaml.safe_load((GOLDEN / f"ravdess_{name}_fold_1" / "recipe.yaml").read_text(encoding="utf-8"))
    by_name = {"model_name_or_path": stored["model_name_or_path"]}  # here the weights lay in a folder
    complete = complete_arguments(arguments[0], arguments[1:])
    assert list_differences(stored, resolve_recipe(arguments[0], *complete) | by_name) == []


@pytest.mark.parametrize("matrix", sorted(GOLDEN.glob("*/matrix.json")), ids=lambda path: path.parent.name)
def test_the_matrices_across_corpora_hold_the_stored_scores(matrix):
    stored, text = read_matrix(matrix.parent), (ROOT / "recipes" / "README.md").read_text(encoding="utf-8")
    assert tabulate_matrix(stored) in text
    assert tabulate_recalls(stored) in text
    assert f"{stored.hardware}, {stored.date}" in text


@pytest.mark.parametrize("stored", sorted(GOLDEN.glob("*/conditions.json")), ids=lambda path: path.parent.name)
def test_the_robustness_table_holds_the_stored_scores(stored):
    rows = cattrs.structure(json.loads(stored.read_text(encoding="utf-8")), list[ConditionComparison])
    table = tabulate_comparison(rows, "reference", "with augmented copies")
    assert table in (ROOT / "recipes" / "README.md").read_text(encoding="utf-8")


def test_there_are_stored_runs():
    assert len(RUNS) >= 2


def test_the_claim_is_the_reference_runs_score():
    results = json.loads((GOLDEN / "ravdess_whisper_tiny" / "all_results.json").read_text(encoding="utf-8"))
    claim = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"{100 * results['test']['ua']:.1f} %" in claim
    low, high = (f"{100 * value:.1f}" for value in results["test"]["intervals"]["ua"])
    assert f"{low} to {high} %" in claim


@pytest.mark.parametrize("document", ["README.md", "recipes/README.md", "CONTRIBUTING.md", "model_card.md"])
def test_every_file_that_a_document_names_is_there(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    for name in re.findall(r"recipes/[\w/]+\.(?:py|yaml|md)", text):
        assert (ROOT / name).exists(), name


def test_the_sizes_of_archives_follow_from_the_speed_of_inference():
    text = (ROOT / "recipes" / "README.md").read_text(encoding="utf-8")
    first_table = text.partition("On one core without")[0]
    speeds = dict(re.findall(r"^\| EmotionClassifier, (.*?) \| ([\d.]+) \|", first_table, re.MULTILINE))
    sizes = re.findall(r"^\| ((?:torch|ONNX) \w+) \| (\d+) \| (\d+) \| (\d+) \|$", text, re.MULTILINE)
    assert len(sizes) == len(speeds) == 4
    for backend, *numbers in sizes:
        rate = float(speeds[backend]) * 3.7 / 2  # seconds per utterance; two cores
        assert [int(number) for number in numbers] == [round(rate), round(1_000 / rate), round(1e6 / rate / (7 * 24))]
