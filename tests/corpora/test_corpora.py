import pytest

from ser_hf.corpora import CORPORA, load_corpus

NAMES = (
    "aesdd cafe crema_d emodb emov_db emovo esd folder hub iemocap jl_corpus meld msp_improv msp_podcast nemo ravdess "
    "ravdess_song savee shemo subesco synthetic table tess turev_db urdu"
)


def test_each_name_is_that_of_its_function():
    assert {name: parser.__name__ for name, parser in CORPORA.items()} == {name: name for name in NAMES.split()}


def test_an_unknown_name_is_refused_with_the_nearest_one(tmp_path):
    with pytest.raises(ValueError, match=r"Unknown corpus 'ravdes'.*\['aesdd', .*Did you mean 'ravdess'"):
        load_corpus("ravdes", tmp_path)
