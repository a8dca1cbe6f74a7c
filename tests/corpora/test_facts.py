import inspect
import re
import sys

import pytest

from ser_hf.corpora import CORPORA
from ser_hf.corpora.facts import CORPUS_FACTS, MEANINGS

TITLES_AND_LICENCES = {
    "aesdd": ("AESDD", None),
    "cafe": ("CaFE", "cc-by-nc-sa-4.0"),
    "crema_d": ("CREMA-D", "odbl"),
    "emodb": ("Emo-DB", None),
    "emov_db": ("EmoV-DB", "other"),
    "emovo": ("EMOVO", None),
    "esd": ("ESD", "other"),
    "folder": ("the user's own folder of audio files", None),
    "hub": ("a dataset from the Hub or from disk", None),
    "iemocap": ("IEMOCAP", "other"),
    "jl_corpus": ("JL-Corpus", "cc0-1.0"),
    "meld": ("MELD", None),
    "msp_improv": ("MSP-IMPROV", "other"),
    "msp_podcast": ("MSP-Podcast", "other"),
    "nemo": ("nEMO", "cc-by-nc-sa-4.0"),
    "ravdess": ("RAVDESS", "cc-by-nc-sa-4.0"),
    "ravdess_song": ("RAVDESS, song", "cc-by-nc-sa-4.0"),
    "savee": ("SAVEE", "other"),
    "shemo": ("ShEMO", "other"),
    "subesco": ("SUBESCO", "cc-by-4.0"),
    "synthetic": ("the synthetic corpus of ser_hf", "apache-2.0"),
    "table": ("the user's own table of audio files", None),
    "tess": ("TESS", "cc-by-nc-nd-4.0"),
    "turev_db": ("TurEV-DB", "cc-by-nc-nd-4.0"),
    "urdu": ("URDU", "other"),
}
NAMED = sorted(name for name, facts in CORPUS_FACTS.items() if facts.url)


def described(name):
    return " ".join(sys.modules[CORPORA[name].__module__].__doc__.split())


def test_every_corpus_has_facts_in_the_order_of_the_names():
    assert list(CORPUS_FACTS) == sorted(CORPORA)


def test_every_corpus_has_its_own_title_and_licence():
    assert {name: (facts.title, facts.licence) for name, facts in CORPUS_FACTS.items()} == TITLES_AND_LICENCES


@pytest.mark.parametrize(
    ("licence", "words"),
    [
        ("apache-2.0", "for any purpose."),
        ("cc0-1.0", "for any purpose."),
        ("cc-by-4.0", "for any purpose, with credit to the corpus."),
        ("cc-by-nc-sa-4.0", "redistributed only under the same licence."),
        ("cc-by-nc-nd-4.0", "The licence forbids sharing adaptations"),
        ("odbl", "requires that databases derived from the corpus stay open"),
        ("other", "only for the purposes that these terms allow"),
        (None, "no permission to use weights trained on it is known"),
    ],
)
def test_each_licence_has_its_own_meaning(licence, words):
    assert words in MEANINGS[licence]


def test_every_licence_has_a_meaning_and_every_meaning_is_a_sentence():
    assert {facts.licence for facts in CORPUS_FACTS.values()} == set(MEANINGS)
    assert all(meaning.endswith(".") and meaning[0].islower() for meaning in MEANINGS.values())


@pytest.mark.parametrize("name", NAMED)
def test_the_address_is_the_one_that_the_corpus_module_names(name):
    assert CORPUS_FACTS[name].url in described(name)


@pytest.mark.parametrize("name", NAMED)
def test_the_licence_is_the_one_that_the_corpus_module_names(name):
    facts, text = CORPUS_FACTS[name], described(name)
    named = re.findall(r"CC BY[A-Z-]* [\d.]+|CC0|ODbL [\d.]+|DbCL [\d.]+|GPL [\d.]+", text)
    assert all(licence in facts.terms for licence in named)
    if facts.licence not in (None, "other"):
        spelt = facts.licence.replace("cc0-1.0", "CC0").replace("odbl", "ODbL 1.0").replace("cc-by", "cc by")
        assert re.sub(r"-(?=\d)", " ", spelt).lower() in text.lower()


@pytest.mark.parametrize("name", NAMED)
def test_languages_ages_and_kind_of_speech_are_those_of_the_corpus_module(name):
    facts, text = CORPUS_FACTS[name], described(name)
    source = inspect.getsource(sys.modules[CORPORA[name].__module__])
    assert all(f'"{language}"' in source for language in facts.languages)
    assert facts.ages is None or facts.ages in text
    if facts.speech in ("acted", "natural"):
        assert re.search(rf"\b{facts.speech}\b", text)


@pytest.mark.parametrize("name", ["folder", "hub", "table"])
def test_nothing_is_claimed_of_data_of_the_users_own(name):
    facts = CORPUS_FACTS[name]
    assert (facts.licence, facts.url, facts.languages, facts.speech) == (None, None, (), "unknown")
    assert "refuses to push them publicly" in facts.meaning
    assert facts.voices == "no information about the speakers"
    assert facts.terms.startswith("unknown; ser_hf reads the files")
