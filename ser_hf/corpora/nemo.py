"""nEMO, emotional speech in Polish.

Nine actors (four female, five male, aged 23 to 28), Polish, acted: 4481 utterances, 90 sentences in five emotions and
neutral. Licence CC BY-NC-SA 4.0; from a clone of https://github.com/amu-cai/nEMO (the version on the Hugging Face Hub
is Parquet, without these files). Files with any audio extension are read, at any depth under the root.

File names give speaker, emotion and sentence: `samples/WR0_surprised_64.wav` is sentence 64 by the actor WR0,
surprised. The text is the column `raw_text` of `data.tsv` in the root; without that file it is None. Left out: the
column `normalized_text`.

Source: Christop 2024, https://aclanthology.org/2024.lrec-main.1059, and the README of the corpus; genders and ages
from `data.tsv`
"""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

from ser_hf.corpora.files import read_table
from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.name_grammar import match_names
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {
    "anger": "angry",
    "fear": "fearful",
    "happiness": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprised": "surprised",
}
SPEAKERS = {
    "EB0": ("female", 27),
    "IC0": ("female", 28),
    "KD0": ("female", 28),
    "KS0": ("male", 23),
    "MK0": ("female", 23),
    "MP0": ("male", 24),
    "SM0": ("male", 24),
    "TP0": ("male", 26),
    "WR0": ("male", 23),
}
FILE_NAME = r"([A-Z]{2}\d)_([a-z]+)_\d+"


def nemo(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of nEMO, sorted by path.

    Args:
        root: Corpus folder; audio files may be at any depth.

    Yields:
        One utterance per file, with speaker, gender, age, language and text.

    Raises:
        FileNotFoundError: If `root` is not a folder or no file name matches.
        ValueError: If `data.tsv` lacks a column.
    """
    texts = _read_sentences(Path(root).expanduser() / "data.tsv")
    for path, match in match_names(root, FILE_NAME, corpus="nEMO", example="samples/WR0_surprised_64.wav").values():
        speaker, emotion = match.groups()
        gender, age = SPEAKERS.get(speaker, (None, None))
        yield Utterance(
            path=path,
            corpus="nemo",
            emotion=EMOTIONS.get(emotion, canonical_emotion(emotion)),
            speaker=speaker,
            gender=gender,
            age=age,
            language="pl",
            text=texts.get(Path(path).stem),
        )


def _read_sentences(table: Path) -> dict[str, str]:
    if not table.is_file():
        return {}
    rows = read_table(table, "file_id", "raw_text", delimiter="\t", quoting=csv.QUOTE_NONE)
    return {Path(row["file_id"]).stem: row["raw_text"] for row in rows}
