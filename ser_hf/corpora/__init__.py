"""Disk -> utterances: one generator function per corpus, by name in `CORPORA`."""

import difflib
import os
from collections.abc import Iterator

from ser_hf.corpora.generic import folder
from ser_hf.corpora.labels import canonical_emotion, map_labels
from ser_hf.corpora.ravdess import ravdess, ravdess_song
from ser_hf.corpora.synthetic import synthetic
from ser_hf.corpora.utterance import Utterance

CORPORA = {
    "folder": folder,
    "ravdess": ravdess,
    "ravdess_song": ravdess_song,
    "synthetic": synthetic,
}

__all__ = ["CORPORA", "Utterance", "canonical_emotion", "load_corpus", "map_labels"]


def load_corpus(name: str, root: str | os.PathLike, **options) -> Iterator[Utterance]:
    """Yield the utterances of the corpus `name` under `root`; nothing is decoded.

    Args:
        name: A key of `CORPORA`.
        root: The corpus' folder as its owners distribute it.
        **options: Arguments of that corpus' function, such as `speaker_pattern` of "folder".

    Raises:
        ValueError: If the name is unknown.
        FileNotFoundError: If the folder is missing or holds no such corpus.
    """
    if name not in CORPORA:
        near = difflib.get_close_matches(name, CORPORA, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"Unknown corpus '{name}': expected one of {sorted(CORPORA)}.{hint}")
    return CORPORA[name](root, **options)
