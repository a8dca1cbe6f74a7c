"""Read corpora from disk: one generator function of utterances per corpus, listed by name in `CORPORA`."""

import difflib
import os
from collections.abc import Iterator

from ser_hf.corpora.aesdd import aesdd
from ser_hf.corpora.cafe import cafe
from ser_hf.corpora.crema_d import crema_d
from ser_hf.corpora.emodb import emodb
from ser_hf.corpora.emov_db import emov_db
from ser_hf.corpora.emovo import emovo
from ser_hf.corpora.esd import esd
from ser_hf.corpora.generic import folder
from ser_hf.corpora.hub import hub
from ser_hf.corpora.iemocap import iemocap
from ser_hf.corpora.jl_corpus import jl_corpus
from ser_hf.corpora.labels import canonical_emotion, map_labels
from ser_hf.corpora.meld import meld
from ser_hf.corpora.msp_improv import msp_improv
from ser_hf.corpora.msp_podcast import msp_podcast
from ser_hf.corpora.nemo import nemo
from ser_hf.corpora.ravdess import ravdess, ravdess_song
from ser_hf.corpora.savee import savee
from ser_hf.corpora.shemo import shemo
from ser_hf.corpora.subesco import subesco
from ser_hf.corpora.synthetic import synthetic
from ser_hf.corpora.table import table
from ser_hf.corpora.tess import tess
from ser_hf.corpora.turev_db import turev_db
from ser_hf.corpora.urdu import urdu
from ser_hf.corpora.utterance import Utterance

CORPORA = {
    "aesdd": aesdd,
    "cafe": cafe,
    "crema_d": crema_d,
    "emodb": emodb,
    "emov_db": emov_db,
    "emovo": emovo,
    "esd": esd,
    "folder": folder,
    "hub": hub,
    "iemocap": iemocap,
    "jl_corpus": jl_corpus,
    "meld": meld,
    "msp_improv": msp_improv,
    "msp_podcast": msp_podcast,
    "nemo": nemo,
    "ravdess": ravdess,
    "ravdess_song": ravdess_song,
    "savee": savee,
    "shemo": shemo,
    "subesco": subesco,
    "synthetic": synthetic,
    "table": table,
    "tess": tess,
    "turev_db": turev_db,
    "urdu": urdu,
}

__all__ = ["CORPORA", "Utterance", "canonical_emotion", "load_corpus", "map_labels"]


def load_corpus(name: str, root: str | os.PathLike, **options) -> Iterator[Utterance]:
    """Return an iterator over the utterances of a corpus; audio is not decoded.

    Args:
        name: A key of `CORPORA`.
        root: Folder of the corpus as its owners distribute it.
        **options: Options of the corpus function; only "folder", "hub" and "table" have any.

    Raises:
        ValueError: If the name is unknown.
        FileNotFoundError: If `root` does not exist or does not contain this corpus (raised when iteration starts).
    """
    if name not in CORPORA:
        near = difflib.get_close_matches(name, CORPORA, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"Unknown corpus '{name}': expected one of {sorted(CORPORA)}.{hint}")
    return CORPORA[name](root, **options)
