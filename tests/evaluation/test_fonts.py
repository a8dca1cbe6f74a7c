"""Names in any script in figures: fonts that have them, or one warning."""

import logging
import warnings

import pytest
from matplotlib.figure import Figure

from ser_hf.evaluation.figures import fonts
from ser_hf.evaluation.figures.saving import save_figure

IN_THE_DEFAULT_FONT = ("злой", "wütend – ½", "غاضب")
IN_NOTO = ("生气", "화남", "怒り", "गुस्सा", "โกรธ", "ቁጣ", "🥹")


@pytest.fixture
def no_fonts(monkeypatch):
    """Leave matplotlib its default font only, as on a machine without other fonts."""
    monkeypatch.setattr(fonts, "_list_fonts", list)
    fonts.choose_families.cache_clear()
    fonts._warn_of.cache_clear()
    yield
    fonts.choose_families.cache_clear()


def draw(*names):
    figure = Figure(figsize=(2, 2))
    axes = figure.add_subplot()
    axes.set_xticks(range(len(names)), names)
    axes.set_title(names[0])
    axes.plot([0], [0], label=names[-1])
    axes.legend()
    return figure


@pytest.mark.parametrize("name", IN_NOTO)
def test_scripts_that_the_default_font_lacks_are_in_noto(name):
    for package in fonts.PACKAGES:
        pytest.importorskip(package, reason="the extra [fonts] is not installed")
    families, missing = fonts.choose_families(frozenset(name))
    assert missing == ""
    assert families and all(family.startswith("Noto") for family in families)


@pytest.mark.parametrize("name", IN_THE_DEFAULT_FONT)
def test_no_font_is_added_for_the_scripts_of_the_default_font(name):
    assert fonts.choose_families(frozenset(name)) == ([], "")


@pytest.mark.parametrize("names", [["生气", "开心"], ["गुस्सा"], ["𒀀", "sad"]])
def test_a_script_without_a_font_is_one_warning(names, no_fonts, tmp_path, caplog):
    with warnings.catch_warnings(record=True) as others:
        warnings.simplefilter("always")
        for i in range(2):
            save_figure(draw(*names), tmp_path / f"{i}.png")
    assert not others
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "no installed font has" in record.getMessage() and 'pip install "ser_hf[fonts]"' in record.getMessage()


@pytest.mark.parametrize("names", [["злой"], ["غاضب"], ["wütend – ½"], ["sad"]])
def test_scripts_of_the_default_font_need_no_other(names, no_fonts, tmp_path, caplog):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_figure(draw(*names), tmp_path / "a.png")
    assert not caplog.records


def test_only_texts_that_need_it_have_another_font(monkeypatch, tmp_path):
    monkeypatch.setattr(fonts, "choose_families", lambda characters: (["DejaVu Serif"], ""))
    figure = draw("生气", "sad")
    save_figure(figure, tmp_path / "a.png")
    (axes,) = figure.axes
    families = [label.get_fontfamily() for label in axes.get_xticklabels()]
    assert families == [["sans-serif", "DejaVu Serif"], ["sans-serif"]]
    assert axes.title.get_fontfamily() == ["sans-serif", "DejaVu Serif"]


def test_colour_emoji_and_placeholder_fonts_are_not_used():
    names = [font.name for font in fonts._list_fonts()]
    assert "DejaVu Sans" in names
    assert not [name for name in names if "Last Resort" in name or "Color Emoji" in name]
