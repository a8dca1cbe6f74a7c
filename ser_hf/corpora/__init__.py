"""Read corpora from disk: one generator function of utterances per corpus, listed by name in `CORPORA`."""

import difflib
import os
from collections.abc import Iterator

from ser_hf.corpora import (
    aesdd,
    cafe,
    class_folders,
    crema_d,
    emodb,
    emov_db,
    emovo,
    esd,
    hub,
    iemocap,
    jl_corpus,
    meld,
    msp_improv,
    msp_podcast,
    nemo,
    ravdess,
    savee,
    shemo,
    subesco,
    synthetic,
    table,
    tess,
    turev_db,
    urdu,
)
from ser_hf.corpora.labels import canonical_emotion, map_labels
from ser_hf.corpora.name_forms import spell_utterances
from ser_hf.corpora.utterance import Utterance

CORPORA = {
    "aesdd": aesdd.aesdd,
    "cafe": cafe.cafe,
    "crema_d": crema_d.crema_d,
    "emodb": emodb.emodb,
    "emov_db": emov_db.emov_db,
    "emovo": emovo.emovo,
    "esd": esd.esd,
    "folder": class_folders.folder,
    "hub": hub.hub,
    "iemocap": iemocap.iemocap,
    "jl_corpus": jl_corpus.jl_corpus,
    "meld": meld.meld,
    "msp_improv": msp_improv.msp_improv,
    "msp_podcast": msp_podcast.msp_podcast,
    "nemo": nemo.nemo,
    "ravdess": ravdess.ravdess,
    "ravdess_song": ravdess.ravdess_song,
    "savee": savee.savee,
    "shemo": shemo.shemo,
    "subesco": subesco.subesco,
    "synthetic": synthetic.synthetic,
    "table": table.table,
    "tess": tess.tess,
    "turev_db": turev_db.turev_db,
    "urdu": urdu.urdu,
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
    return spell_utterances(CORPORA[name](root, **options))
