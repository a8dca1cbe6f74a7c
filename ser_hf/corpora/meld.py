r"""MELD, the Multimodal EmotionLines Dataset: dialogues of the television series Friends.

13708 utterances in 1432 dialogues of several speakers (mostly six actors), American English, acted, in seven
emotions. Labels under GPL 3.0, from https://github.com/declare-lab/MELD, which also links to the video clips
(`MELD.Raw.tar.gz`; unpack the three archives inside it too). The clips are videos, so extract their audio first; the
error message gives the command. Audio files may be at any depth below a folder whose name contains train, dev (or
valid) or test.

`train_splits/dia6_utt1.wav` is the utterance with Dialogue_ID 6 and Utterance_ID 1 in `train_sent_emo.csv`. Numbers
restart in each part. Left out: clips that are in no table, such as `final_videos_testdia0_utt0`, and rows without
audio. A complete copy has no audio for two rows: dev `dia110_utt7` is not in the archive, train `dia125_utt3` cannot
be decoded.

Source: Poria et al. 2019, https://arxiv.org/abs/1810.02508
"""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from ser_hf.corpora.files import read_table
from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.name_grammar import Audio, match_names, pair_names
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {
    "anger": "angry",
    "disgust": "disgust",
    "fear": "fearful",
    "joy": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprise": "surprised",
}
SPLITS = {"train": "train", "dev": "validation", "valid": "validation", "test": "test"}
GENDERS = dict.fromkeys(("Monica", "Phoebe", "Rachel"), "female")
GENDERS |= dict.fromkeys(("Chandler", "Joey", "Ross"), "male")
COLUMNS = ("Dialogue_ID", "Utterance_ID", "Utterance", "Speaker", "Emotion")
VIDEOS = (".mp4", ".webm")
FILE_NAME = r".*(train|dev|valid|test).*/dia(\d+)_utt(\d+)"
EXAMPLE = "train_splits/dia0_utt0.wav"
EXTRACT = (
    "find . '(' -iname 'dia*.mp4' -o -iname 'dia*.webm' ')' -exec sh -c "
    """'ffmpeg -nostdin -loglevel error -i "$1" -vn -ac 1 -ar 16000 "${1%.*}.wav"' _ {} ';'"""
)
# The tables contain Windows-1252 quotation marks and dashes that were decoded as Latin-1
MISREAD = {code: bytes([code]).decode("cp1252", "replace") for code in range(0x80, 0xA0)}


def meld(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of MELD, in the order of its tables.

    Logs how many table rows have no audio, how many audio files have no label, and how many files have other names.

    Args:
        root: Folder that contains the tables and the audio files, at any depth.

    Yields:
        One utterance per table row with audio, with speaker, gender (main actors only), language, session, split and
        text.

    Raises:
        FileNotFoundError: If a table is missing, or no row of the tables has audio.
        ValueError: If a part of the corpus has videos but no audio, or a table lacks a column.
    """
    audio = _find_audio(root)
    rows = _read_partitions(Path(root).expanduser())
    both = set(pair_names(rows, audio, root, corpus="MELD", example=EXAMPLE))
    for name, row in rows.items():
        if name in both:
            path, match = audio[name]
            speaker, split = row["Speaker"].translate(MISREAD), SPLITS[match[1]]
            yield Utterance(
                path=path,
                corpus="meld",
                emotion=EMOTIONS.get(row["Emotion"], canonical_emotion(row["Emotion"])),
                speaker=speaker,
                gender=GENDERS.get(speaker),
                language="en",
                session=f"{split}_dia{match[2]}",
                split=split,
                text=row["Utterance"].translate(MISREAD),
            )


def _find_audio(root: str | os.PathLike) -> Audio:
    files = match_names(root, FILE_NAME, corpus="MELD", example=EXAMPLE, name=_name_utterance)
    audio = {name: file for name, file in files.items() if not file[0].lower().endswith(VIDEOS)}
    if silent := sorted({SPLITS[match[1]] for _, match in files.values()} - {SPLITS[m[1]] for _, m in audio.values()}):
        raise ValueError(
            f"MELD under '{root}' has videos only for {silent}: expected audio files like dia0_utt0.wav. Extract 16 "
            f"kHz mono audio beside the videos with: cd {shlex.quote(str(root))} && {EXTRACT}"
        )
    return audio


def _name_utterance(match: re.Match) -> str:
    return f"{SPLITS[match[1]]}_dia{match[2]}_utt{match[3]}"


def _read_partitions(root: Path) -> dict[str, dict[str, str]]:
    rows = {}
    for part in ("train", "dev", "test"):
        name = f"{part}_sent_emo.csv"
        paths = sorted(root.rglob(name))
        if not paths:
            found = sorted(path.name for path in root.rglob("*.csv"))[:5]
            raise FileNotFoundError(
                f"No {name} under '{root}': expected train_sent_emo.csv, dev_sent_emo.csv and test_sent_emo.csv, found "
                f"{found}. They are in data/MELD of https://github.com/declare-lab/MELD ."
            )
        for row in read_table(paths[0], *COLUMNS):
            rows[f"{SPLITS[part]}_dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}"] = row
    return rows
