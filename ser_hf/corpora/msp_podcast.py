r"""MSP-Podcast: natural speech cut from podcasts.

English, natural, hundreds of hours that grow with each release (1.12: 207136 turns), rated by five or more
annotators. On request from the University of Texas at Dallas, under its licence; from
https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html . The root contains `Labels`, `Audios` and
`Transcripts`; older releases name the first two `label` or `labels`, and `Audio`. Files with any audio extension are
read.

`Audios/MSP-PODCAST_0001_0008.wav` is turn 8 of podcast 1; the podcast is the session. `Labels/labels_consensus.csv`
(`labels_concensus.csv` up to 1.9) has the labels, one row per turn:

    FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set
    MSP-PODCAST_0001_0008.wav,N,4.0,4.2,4.4,127,Male,Test1

Arousal (`EmoAct`), valence and dominance range from 1 to 7. `labels_detailed.csv` has one row per annotation, in
columns (1.6 and 2.0: the primary emotion is `EmoClass_Major`) or in one text (1.7 to 1.11: `EmoDetail` is
`WORKER00000001; Happy; Happy,Amused; A:5.0; V:5.0; D:4.0;`). `votes` counts the primary emotions; "Other" with a text
written by the annotator counts as other. Left out: secondary emotions; turns without audio or label. Unknown speakers
and genders are None. The splits are defined by the owners: `Development` (`Validation` in older releases) is
"validation", `Test1` is "test".

Source: Lotfian & Busso 2019, doi:10.1109/TAFFC.2017.2736999; Busso et al. 2025, https://arxiv.org/abs/2509.09791
"""

import os
from collections.abc import Iterator
from pathlib import Path

from ser_hf.corpora.cells import read_number
from ser_hf.corpora.files import read_table
from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.name_grammar import match_names, pair_names
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {
    "A": "angry",
    "C": "contempt",
    "D": "disgust",
    "F": "fearful",
    "H": "happy",
    "N": "neutral",
    "O": "other",
    "S": "sad",
    "U": "surprised",
    "X": "no_agreement",
}
GENDERS = {"Female": "female", "Male": "male"}
SPLITS = {
    "Train": "train",
    "Development": "validation",
    "Validation": "validation",
    "Test1": "test",
    "Test2": "test2",
    "Test3": "test3",
}
COLUMNS = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")
# excludes the audio of former releases, which is in other folders
FILE_NAME = r"Audio[^/]*/(?:.*/)?(MSP-PODCAST_\d+)_\d+(?:_\d+)?"


def msp_podcast(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of MSP-Podcast, sorted by name.

    Logs how many turns have no audio, how many audio files have no label, and how many files have other names.

    Args:
        root: Folder that contains `Labels` and `Audios`.

    Yields:
        One utterance per turn, with speaker, gender, language, session, split, text, valence, arousal, dominance and
        votes.

    Raises:
        FileNotFoundError: If `root` has no label table, or no labelled turn has audio.
        ValueError: If a table lacks a column.
    """
    root = Path(root).expanduser()
    example = "Audios/MSP-PODCAST_0001_0008.wav"
    rows, votes = _read_consensus(root), _count_votes(root)
    audio = match_names(root, FILE_NAME, corpus="MSP-Podcast", example=example)
    for name in pair_names(rows, audio, root, corpus="MSP-Podcast", example=example):
        row, (path, match) = rows[name], audio[name]
        text = root / "Transcripts" / f"{name}.txt"
        yield Utterance(
            path=path,
            corpus="msp_podcast",
            emotion=EMOTIONS.get(row["EmoClass"], canonical_emotion(row["EmoClass"])),
            speaker=None if row["SpkrID"] == "Unknown" else row["SpkrID"],
            gender=GENDERS.get(row["Gender"]),
            language="en",
            session=match[1],
            split=SPLITS.get(row["Split_Set"], row["Split_Set"]),
            text=text.read_text(encoding="utf-8-sig", errors="replace").strip() if text.is_file() else None,
            valence=read_number(row["EmoVal"]),
            arousal=read_number(row["EmoAct"]),
            dominance=read_number(row["EmoDom"]),
            votes=votes.get(name),
        )


def _read_consensus(root: Path) -> dict[str, dict[str, str]]:
    paths = sorted(root.glob("[Ll]abel*/labels_con[cs]ensus.csv"))
    if not paths:
        found = sorted(str(path.relative_to(root)) for path in [*root.glob("*"), *root.glob("*/*.csv")])[:8]
        raise FileNotFoundError(
            f"No MSP-Podcast labels under '{root}': expected Labels/labels_consensus.csv, found {found}. Is data_root "
            "the folder that contains Labels and Audios?"
        )
    return {Path(row["FileName"]).stem: row for row in read_table(paths[0], *COLUMNS)}


def _count_votes(root: Path) -> dict[str, dict[str, float]]:
    """Return the votes for each turn by utterance name; empty if the release has no table of annotations."""
    votes: dict[str, dict[str, float]] = {}
    for path in sorted(root.glob("[Ll]abel*/labels_detailed.csv"))[:1]:
        with path.open(encoding="utf-8-sig", errors="replace") as lines:
            column = "EmoClass_Major" if "EmoClass_Major" in lines.readline() else "EmoDetail"
        for row in read_table(path, "FileName", column):
            *_, primary = row[column].split(";")[:2]  # the emotion alone, or the second of several fields
            if emotion := canonical_emotion(primary):
                emotion = "other" if emotion.startswith("other") else emotion
                counts = votes.setdefault(Path(row["FileName"]).stem, {})
                counts[emotion] = counts.get(emotion, 0) + 1
    return votes
