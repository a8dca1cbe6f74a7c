"""Labels that are markup are shown as they are in cards, tables, subtitles and figures, and on the terminal."""

import csv
import io
import shutil
from pathlib import Path

import pandas
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from ser_hf.evaluation import read_predictions, write_predictions
from ser_hf.evaluation.figures.saving import save_figure
from ser_hf.publishing import render_card
from ser_hf.publishing.checks import Check
from ser_hf.publishing.gate import describe_checks
from ser_hf.runs.results import parse_results
from ser_hf.serving.emotion_segments import Segment
from ser_hf.serving.recording_report import describe
from ser_hf.serving.segment_files import write_segments
from ser_hf.serving.segment_summary import summarize

markdown_it = pytest.importorskip("markdown_it")
GOLDEN = Path(__file__).parents[1] / "golden" / "ravdess_whisper_tiny_fold_1"
LABELS = ["<b>angry|sad</b>", "[calm](https://example.org)", "=1+1", "sad\n\n# Title\n| x |", "`$x$`"]


@pytest.mark.parametrize("label", LABELS)
def test_a_card_has_the_same_tables_and_titles_whatever_a_label_is(tmp_path, label):
    def parse(name):
        text = (GOLDEN / "all_results.json").read_text(encoding="utf-8")
        folder = shutil.copytree(GOLDEN, tmp_path / str(len(name)))
        quoted = name.replace("\n", "\\n").replace('"', '\\"')
        card = render_card(folder, parse_results(text.replace('"angry"', f'"{quoted}"')), repo_id="someone/tiny")
        tokens = markdown_it.MarkdownIt("commonmark").enable("table").parse(card.text)
        kinds = [token.type for token in tokens]
        inner = [child.type for token in tokens for child in token.children or () if child.type != "text"]
        texts = ["".join(child.content for child in token.children or ()) for token in tokens]
        return kinds, [kind for kind in inner if kind != "text_special"], texts

    kinds, inner, texts = parse(label)
    assert (kinds, inner) == parse("furious")[:2]
    assert label.replace("\n", "\\x0a") in texts  # the cell of the label in a table


@pytest.mark.parametrize("label", LABELS)
def test_predictions_are_read_back_and_no_cell_is_a_formula(tmp_path, label):
    row = {"path": "-a.wav", "start": 0.5, "end": None, "corpus": "@x", "speaker": "+1", "gender": None}
    row |= {"split": "test", "target": label, "prediction": label, f"score_{label}": 0.25, "score_zz": -0.5}
    table = pandas.DataFrame([row])
    write_predictions(table, tmp_path / "predictions.csv")
    found = read_predictions(tmp_path / "predictions.csv").iloc[0].dropna().to_dict()
    assert found == {key: value for key, value in row.items() if value is not None}
    text = (tmp_path / "predictions.csv").read_text(encoding="utf-8")
    assert not any(cell[:1] in ("=", "+", "@") for cells in csv.reader(io.StringIO(text)) for cell in cells)


@pytest.mark.parametrize("label", LABELS)
def test_subtitles_and_labels_have_one_cue_per_segment(tmp_path, label):
    segments = [Segment(float(i), i + 1.0, f"{label}\t--> x", 0.5, False, {f"{label}\t--> x": 0.5}) for i in range(3)]
    for name in ("a.vtt", "a.txt", "a.csv"):
        write_segments(segments, tmp_path / name)
    blocks = (tmp_path / "a.vtt").read_text(encoding="utf-8").strip().split("\n\n")
    assert [block.count("-->") for block in blocks] == [0, 1, 1, 1]
    assert [len(block.splitlines()) for block in blocks] == [1, 2, 2, 2]
    assert not any("<" in block for block in blocks)
    lines = (tmp_path / "a.txt").read_text(encoding="utf-8").splitlines()
    assert [line.count("\t") for line in lines] == [2, 2, 2]
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        assert [row["emotion"][:1] for row in csv.DictReader(file)] == ["'" if label[0] == "=" else label[0]] * 3


@pytest.mark.parametrize("label", ["a $x_1 b", "$\\frac{$", "50 $ and $"])
def test_a_dollar_sign_in_a_label_is_no_formula_in_a_figure(tmp_path, label):
    figure = Figure()
    axes = figure.subplots()
    axes.set(title=label, xscale="log", xlim=(1, 100))
    axes.set_yticks([0, 1], [label, "sad"])
    axes.text(2, 0.5, label)
    save_figure(figure, tmp_path / "figure.png")
    shown = [text.get_text() for text in figure.findobj(Text) if not text.get_parse_math()]
    assert shown.count(label) >= 3 and not any("mathdefault" in text for text in shown)


def test_the_page_and_the_terminal_show_markup_as_text():
    segment = Segment(0.0, 2.0, "**x** <b>", 0.7, False, {"**x** <b>": 0.7})
    summary = summarize([segment], lambda scores: "**x** <b>")
    assert describe(summary, threshold=None).startswith("## \\*\\*x\\*\\* \\<b\\>\n")
    text = describe_checks([Check("label names", True, "2: sad\nok    forged  line\x1b[1A, angry")])
    assert text == r"ok     label names  2: sad\x0aok    forged  line\x1b[1A, angry"
