import csv
import io

import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_hf.corpora.table_rows import read_table_rows
from ser_hf.escaping import cell, cells, cue, markdown, markdown_values, one_line, plain_cell, show

markdown_it = pytest.importorskip("markdown_it")
HOSTILE = [
    "a|b",
    "`code`",
    "[click](https://example.org)",
    "<script>alert(1)</script>",
    "<img src=x>",
    "**bold** and _slanted_ and __both__",
    "two\nlines",
    "margin\n# A title\n- a list",
    "![figure](x.png)",
    "# Title",
    "- item",
    "+ item",
    "1. first",
    "> quoted",
    "&lt; &copy;",
    "back\\slash\\",
    "~~struck~~",
    "www.example.org, https://example.org/a_b and me@example.org",
    "a\x1b[31mb",
    "very happy_and_sad",
    "高兴 | ☺",
    "___",
    "= title",
]


def text_of(tokens):
    """Return the text of parsed Markdown, and the kinds of its markup."""
    inline = [child for token in tokens for child in token.children or ()]
    kinds = {token.type for token in [*tokens, *inline]} - {"paragraph_open", "paragraph_close", "inline", "text"}
    return "".join(child.content for child in inline), kinds - {"text_special"}


@pytest.mark.parametrize("label", HOSTILE)
def test_a_parser_of_markdown_reads_the_label_back_without_any_markup(label):
    parser = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"])
    text, kinds = text_of(parser.parse(markdown(label)))
    assert (text, kinds) == (one_line(label), set())
    table = parser.parse(f"| emotion | recall |\n|---|---|\n| {markdown(label)} | 0.5 |\n")
    found = [token.children for token in table if token.type == "inline"]
    assert ["".join(child.content for child in each) for each in found] == ["emotion", "recall", one_line(label), "0.5"]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30).filter(lambda text: text == text.strip() and text))
def test_any_label_is_one_cell_of_a_markdown_table(label):
    parser = markdown_it.MarkdownIt("commonmark").enable("table")
    html = parser.render(f"| a | b |\n|---|---|\n| x{markdown(label)}x | 0.5 |\n")
    assert html.count("<td>") == 2 and "<td>0.5</td>" in html


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_a_cell_of_csv_is_no_formula_and_is_read_back(text):
    file = io.StringIO(newline="")
    csv.writer(file).writerow(cells([text, 0.5]))
    (row,) = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert row[0][:1] not in ("=", "+", "-", "@", "\t", "\r")
    assert [plain_cell(row[0]), row[1]] == [text, "0.5"]


def test_only_texts_are_changed_in_csv():
    assert cells(["=HYPERLINK(1)", "+49", "-", "@me", "\tx", "a=b", "", None, -0.5, "'=x"]) == [
        "'=HYPERLINK(1)", "'+49", "'-", "'@me", "'\tx", "a=b", "", None, -0.5, "''=x",
    ]  # fmt: skip
    assert cell("'quoted'") == plain_cell("'quoted'") == "'quoted'"


def test_a_table_that_was_escaped_is_read_as_it_was(tmp_path):
    (tmp_path / "a.csv").write_text("path,emotion\n'=1+1.wav,'-sad\n")
    rows = read_table_rows(tmp_path / "a.csv")
    assert [row for _, row in rows] == [{"path": "=1+1.wav", "emotion": "-sad"}]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("angry\x1b]0;title\x07", r"angry\x1b]0;title\x07"),
        ("sad\r\nhappy", r"sad\x0d\x0ahappy"),
        ("abc\u202etxt.wav", r"abc\u202etxt.wav"),
        ("caf\udce9", r"caf\udce9"),
        ("\x9b31m", r"\x9b31m"),
        ("قلق 😀", "قلق 😀"),
    ],
)
def test_hidden_characters_are_spelt_out_on_the_terminal(text, shown, capsys):
    assert one_line(text) == shown
    show(f"first\nsecond {text}".replace("\r\n", "\r"))
    assert capsys.readouterr().out == f"first\nsecond {shown}\n".replace(r"\x0d\x0a", r"\x0d")


def test_an_ascii_terminal_shows_the_codes_of_other_characters(tmp_path):
    with (tmp_path / "out").open("w", encoding="ascii") as file:
        show("fröhlich 😀", file=file)
    assert (tmp_path / "out").read_text() == "fr\\xf6hlich \\U0001f600\n"


def test_a_cue_is_one_line_of_plain_text():
    assert cue("a\n\n00:01.000 --> 00:02.000\n<b>") == r"a\x0a\x0a00:01.000 --&gt; 00:02.000\x0a&lt;b&gt;"


def test_texts_are_escaped_at_any_depth_and_numbers_are_kept():
    found = markdown_values({"a|b": [{"x": "<i>", "y": 0.5}, None], "n": pandas.NA})
    assert found["a\\|b"] == [{"x": "\\<i\\>", "y": 0.5}, None]
