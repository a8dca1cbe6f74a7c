import os
import sys
import unicodedata

import pytest

from ser_hf.corpora import Utterance, canonical_emotion
from ser_hf.corpora.name_forms import clean_text, find_near_equal, find_path, speaker_spelling, spell_utterances

UNICODE_NAMES = pytest.mark.skipif(sys.getfilesystemencoding() != "utf-8", reason="file names are ASCII here")


@pytest.mark.parametrize(
    "name",
    ["Angry", " angry ", "ANGER", "an\u200bgry", "\ufeffangry", "angry\u00a0", "\u202fangry\u2009", "an\u00adgry"],
)
def test_one_emotion_has_one_name_in_every_spelling(name):
    assert canonical_emotion(name) == "angry"


@pytest.mark.parametrize(("name", "kept"), [("Überrascht", "überrascht"), ("悲しい", "悲しい"), ("می‌خواهم", "می‌خواهم")])
def test_the_two_unicode_forms_of_a_label_are_one(name, kept):
    assert canonical_emotion(unicodedata.normalize("NFD", name)) == kept
    assert canonical_emotion(unicodedata.normalize("NFC", name)) == kept


def test_spaces_within_a_label_become_one():
    assert canonical_emotion("pleasant \u00a0 surprise") == "surprised"


@pytest.mark.parametrize("names", [("3", "03", "3.0"), ("003", "3"), ("3.0", "3.00")])
def test_a_numbered_speaker_keeps_the_first_spelling(names):
    spell = speaker_spelling()
    assert {spell(name) for name in names} == {names[0].partition(".")[0]}


def test_speakers_of_other_numbers_or_letters_stay_apart():
    spell = speaker_spelling()
    assert [spell(name) for name in ("1", "10", "1.5", "a1", "A1", "0", "00")] == [
        "1",
        "10",
        "1.5",
        "a1",
        "A1",
        "0",
        "0",
    ]


def test_every_corpus_comes_through_one_door():
    rows = [
        Utterance(path="a", corpus="x", emotion="sad ", speaker=name) for name in ("Mu\u0308ller", "M\u00fcller\u200b")
    ]
    assert [(row.emotion, row.speaker) for row in spell_utterances(rows)] == [("sad", "Müller")] * 2


@pytest.mark.parametrize("names", [("Anna", "anna"), ("p1", "P-01"), ("S 7", "s_07"), ("Ａ1", "a1")])
def test_names_that_differ_in_spelling_only_are_near_equal(names):
    assert find_near_equal(names) == [tuple(sorted(names))]


@pytest.mark.parametrize("names", [("p1", "p11"), ("Anna", "Anne"), ("1_1", "11"), ("+", "-")])
def test_other_names_are_not_near_equal(names):
    assert find_near_equal(names) == []


@UNICODE_NAMES
def test_a_path_is_found_in_the_other_unicode_form(tmp_path):
    folder, name = unicodedata.normalize("NFD", "Gefühle"), unicodedata.normalize("NFD", "Ärger é.wav")
    (tmp_path / folder).mkdir()
    (tmp_path / folder / name).touch()
    written = unicodedata.normalize("NFC", os.path.join(tmp_path, folder, name))
    assert find_path(written) == str(tmp_path / folder / name)
    assert find_path(str(tmp_path / "Gefühle" / "fehlt ö.wav")) == str(tmp_path / folder / "fehlt ö.wav")


def test_visible_marks_stay():
    assert clean_text("👩‍👧 ❤️") == "👩‍👧 ❤️"
