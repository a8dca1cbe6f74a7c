r"""MSP-Podcast: natural speech cut from podcasts.

English, natural, hundreds of hours that grow with each release (1.12: 207136 turns), judged by five or more
annotators. On request from the University of Texas at Dallas, under its licence; from
https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html . The root holds `Labels`, `Audios` and
`Transcripts`; older releases call the first two `label` or `labels`, and `Audio`. Any audio extension is read.

`Audios/MSP-PODCAST_0001_0008.wav` is turn 8 of podcast 1; the podcast is the session. `Labels/labels_consensus.csv`
(`labels_concensus.csv` up to 1.9) has its label, a row per turn:

    FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set
    MSP-PODCAST_0001_0008.wav,N,4.0,4.2,4.4,127,Male,Test1

Arousal (`EmoAct`), valence and dominance run from 1 to 7. `labels_detailed.csv` has a row per annotation, in columns
(1.6 and 2.0: the primary emotion is `EmoClass_Major`) or in one text (1.7 to 1.11:
`WORKER00000001; Happy; Happy,Amused; A:5.0; V:5.0; D:4.0;` is `EmoDetail`). `votes` counts the primary emotions, and
whatever an annotator wrote beside "Other" as other. Left out: secondary emotions; turns without audio or without
label. Unknown speakers and genders are None. The splits are the owners': `Development` (`Validation` in older
releases) is "validation", `Test1` is "test".

Source: Lotfian & Busso 2019, doi:10.1109/TAFFC.2017.2736999; Busso et al. 2025, https://arxiv.org/abs/2509.09791
"""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

from ser_hf.corpora.files import audio_files, pair_names
from ser_hf.corpora.labels import canonical_emotion
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


def msp_podcast(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of MSP-Podcast under `root`, sorted by name.

    Utterances without audio and audio without label are counted in a warning each.

    Raises:
        FileNotFoundError: If a table is missing, or none of its utterances has audio.
    """
    root = Path(root).expanduser()
    rows = {Path(row["FileName"]).stem: row for row in _read_table(root, "labels_con[cs]ensus.csv")}
    votes = _count_votes(root)
    # not the whole root: it holds the audio that former releases had, too
    audio = {Path(path).stem: path for folder in root.glob("Audio*/") for path in audio_files(folder)}
    example = "Audios/MSP-PODCAST_0001_0008.wav"
    for name in pair_names(rows, audio, root, corpus="MSP-Podcast", example=example):
        row, text = rows[name], root / "Transcripts" / f"{name}.txt"
        yield Utterance(
            path=audio[name],
            corpus="msp_podcast",
            emotion=EMOTIONS.get(row["EmoClass"], row["EmoClass"]),
            speaker=None if row["SpkrID"] == "Unknown" else row["SpkrID"],
            gender=GENDERS.get(row["Gender"]),
            language="en",
            session="_".join(name.split("_")[:2]),
            split=SPLITS.get(row["Split_Set"], row["Split_Set"]),
            text=text.read_text(encoding="utf-8-sig", errors="replace").strip() if text.is_file() else None,
            valence=float(row["EmoVal"]),
            arousal=float(row["EmoAct"]),
            dominance=float(row["EmoDom"]),
            votes=votes.get(name),
        )


def _count_votes(root: Path) -> dict[str, dict[str, int]]:
    votes = {}
    for row in _read_table(root, "labels_detailed.csv"):
        primary = row["EmoClass_Major"] if "EmoClass_Major" in row else row["EmoDetail"].split(";")[1]
        emotion = canonical_emotion(primary)
        emotion = "other" if emotion.startswith("other") else emotion
        counts = votes.setdefault(Path(row["FileName"]).stem, {})
        counts[emotion] = counts.get(emotion, 0) + 1
    return votes


def _read_table(root: Path, name: str) -> Iterator[dict[str, str]]:
    paths = sorted(root.glob(f"[Ll]abel*/{name}"))
    if not paths:
        found = sorted(str(path.relative_to(root)) for path in [*root.glob("*"), *root.glob("*/*.csv")])[:8]
        raise FileNotFoundError(
            f"No table {name} under '{root}': expected Labels/labels_consensus.csv and Labels/labels_detailed.csv, "
            f"found {found}. Is data_root the folder that holds Labels and Audios?"
        )
    with open(paths[0], encoding="utf-8-sig", errors="replace", newline="") as table:
        yield from csv.DictReader(table)
