r"""MELD, the Multimodal EmotionLines Dataset: dialogues of the television series Friends.

13708 utterances in 1432 dialogues of several speakers (most by six actors), American English, acted, in seven
emotions. Labels under GPL 3.0, from https://github.com/declare-lab/MELD, which also links to the video clips
(`MELD.Raw.tar.gz`; unpack the three archives in it too). The clips are videos: extract their sound first; the error
says how. The audio files may lie anywhere below a folder whose name has train, dev (or valid) or test in it.

`train_splits/dia6_utt1.wav` is the utterance with Dialogue_ID 6 and Utterance_ID 1 in `train_sent_emo.csv`. Numbers
start anew in each part. Left out: clips that no table lists, such as `final_videos_testdia0_utt0`, and rows without
audio. Complete copies lack two: dev `dia110_utt7` is not in the archive, train `dia125_utt3` cannot be decoded.

Source: Poria et al. 2019, https://arxiv.org/abs/1810.02508
"""

import csv
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

from ser_hf.corpora.files import audio_files, no_utterances
from ser_hf.corpora.labels import canonical_emotion
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
CLIP = re.compile(r".*(train|dev|valid|test).*/dia(\d+)_utt(\d+)\.\w+")
# Windows' quotation marks and dashes, read as Latin-1 when the tables were written
MISREAD = {code: bytes([code]).decode("cp1252", "replace") for code in range(0x80, 0xA0)}

Key = tuple[str, int, int]  # split, dialogue, utterance

logger = logging.getLogger(__name__)


def meld(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of MELD under `root`, in the order of its tables; those without audio are counted.

    Raises:
        FileNotFoundError: If a table is missing, or none of its utterances has a file.
        ValueError: If a part of the corpus has videos and no audio.
    """
    audio = _find_audio(root)
    rows = _read_tables(Path(root).expanduser())
    if not rows.keys() & audio.keys():
        names = [Path(path).name for path in audio_files(root)]
        example = "train_splits/dia0_utt0.wav"
        raise FileNotFoundError(no_utterances(root, names, corpus="MELD", example=example))
    if missing := [key for key in rows if key not in audio]:
        first = "{}_dia{}_utt{}".format(*missing[0])
        logger.warning(f"Left out {len(missing)} of {len(rows)} MELD utterances without audio (first: {first}).")
    for key, row in rows.items():
        if key in audio:
            speaker = row["Speaker"].translate(MISREAD)
            yield Utterance(
                path=audio[key],
                corpus="meld",
                emotion=EMOTIONS.get(row["Emotion"], row["Emotion"]),
                speaker=speaker,
                gender=GENDERS.get(speaker),
                language="en",
                session=f"{key[0]}_dia{key[1]}",
                split=key[0],
                text=row["Utterance"].translate(MISREAD),
            )


def _find_audio(root: str | os.PathLike) -> dict[Key, str]:
    audio, videos = {}, {}
    below = len(str(Path(root).expanduser()))  # a folder above the root may be called "test" too
    for path in audio_files(root):
        if clip := CLIP.fullmatch(path[below:].replace(os.sep, "/")):
            key = (SPLITS[clip[1]], int(clip[2]), int(clip[3]))
            (videos if path.endswith(".mp4") else audio)[key] = path
    if silent := sorted({split for split, *_ in videos} - {split for split, *_ in audio}):
        raise ValueError(
            f"MELD under '{root}' has videos only for {silent}: expected audio files like dia0_utt0.wav. Extract 16 "
            f"kHz mono audio beside the videos with: cd '{root}' && for f in $(find . -name 'dia*_utt*.mp4'); do "
            "ffmpeg -nostdin -loglevel error -i $f -vn -ac 1 -ar 16000 ${f%.mp4}.wav; done"
        )
    return audio


def _read_tables(root: Path) -> dict[Key, dict[str, str]]:
    rows = {}
    for part in ("train", "dev", "test"):
        name = f"{part}_sent_emo.csv"
        paths = sorted(root.rglob(name))
        if not paths:
            found = sorted(path.name for path in root.rglob("*.csv"))[:5]
            raise FileNotFoundError(
                f"No {name} under '{root}': expected train_sent_emo.csv, dev_sent_emo.csv and test_sent_emo.csv, found "
                f"{found}. They lie in data/MELD of https://github.com/declare-lab/MELD ."
            )
        with open(paths[0], encoding="utf-8-sig", errors="replace", newline="") as table:
            for row in csv.DictReader(table):
                rows[SPLITS[part], int(row["Dialogue_ID"]), int(row["Utterance_ID"])] = row
    return rows
