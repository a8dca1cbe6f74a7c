import inspect
import re
import sys

import pytest

from ser_hf.corpora import CORPORA
from ser_hf.corpora.facts import CORPUS_FACTS, MEANINGS

NAMED = sorted(name for name, facts in CORPUS_FACTS.items() if facts.url)


def described(name):
    return " ".join(sys.modules[CORPORA[name].__module__].__doc__.split())


def test_every_corpus_has_facts_in_the_order_of_the_names():
    assert list(CORPUS_FACTS) == sorted(CORPORA)


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
