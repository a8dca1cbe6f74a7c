r"""IEMOCAP, the Interactive Emotional Dyadic Motion Capture database.

10 actors (5 female, 5 male; one pair per session), American English, acted: 10039 turns of dialogues that are
improvised ("impro") or played from a script ("script"), each rated by three or more annotators. Free for research
on request, under the licence of the University of Southern California; from https://sail.usc.edu/iemocap/ .
The root is `IEMOCAP_full_release` or the folder that contains it. Files with any audio extension are read.

`Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M003.wav` is the fourth turn of the male actor (the last
letter) in improvisation 01 of session 1. The first letter is the motion-captured actor: `Ses01F_…` and `Ses01M_…`
are dialogues of the same two people, so the speaker is the session with the last letter, here "01M".

Labels are in `Session1/dialog/EmoEvaluation/Ses01F_impro01.txt`, one block per turn (tabs between the fields):

    [6.2901 - 8.2357]  Ses01F_impro01_F000  neu  [2.5000, 2.5000, 2.5000]
    C-E2:  Neutral;  ()
    C-F1:  Neutral;  (curious)
    A-E3:  val 3; act 2; dom 2;  ()

The first line has the emotion and the means of valence, arousal and dominance (1 to 5). `votes` counts the `C-E`
lines, the choices of the annotators: an annotator who chooses several emotions adds one vote to each. Left out: the
actors' ratings of themselves (`C-F`, `C-M`), which the owners' means do not include either; turns without audio or
label. Turns without agreement among the annotators (`xxx`) are "no_agreement". The owners define no split.

Source: Busso et al. 2008, doi:10.1007/s10579-008-9076-6
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ser_hf.corpora.cells import read_number
from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.name_grammar import match_names, pair_names, stem_of
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {
    "ang": "angry",
    "dis": "disgust",
    "exc": "excited",
    "fea": "fearful",
    "fru": "frustrated",
    "hap": "happy",
    "neu": "neutral",
    "oth": "other",
    "sad": "sad",
    "sur": "surprised",
    "xxx": "no_agreement",
}
STYLES = {"impro": "improvised", "script": "scripted"}
DIMENSIONS = ("valence", "arousal", "dominance")
FILE_NAME = r"Ses(0[1-5])[FM]_(impro|script)\w+?(?:_([FM])\w*\d)?"  # the file of a whole dialogue names no actor
TURN = re.compile(r"\[.+?\]\s+(\w+)\s+(\w+)(?:\s+\[(.*)\])?")
VOTE = re.compile(r"C-E\d+:([^(]*)")
TRANSCRIPT = re.compile(r"(\w+) \[.+?\]:(.*)")


def iemocap(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of IEMOCAP, sorted by name.

    Logs how many turns have no audio, how many audio files have no label, and how many files have other names.

    Args:
        root: The folder `IEMOCAP_full_release`, or the folder that contains it.

    Yields:
        One utterance per turn, with speaker, gender, language, session, style, text, valence, arousal, dominance and
        votes.

    Raises:
        FileNotFoundError: If `root` is not a folder, has no label files, or no labelled turn has audio.
    """
    example = "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"

    def name_turn(match: re.Match) -> str | None:
        return stem_of(match) if match[3] else None

    audio = match_names(root, FILE_NAME, corpus="IEMOCAP", example=example, name=name_turn)
    labels = _read_dialogue_labels(Path(root).expanduser())
    texts = _read_transcripts(Path(root).expanduser())
    for name in pair_names(labels, audio, root, corpus="IEMOCAP", example=example):
        path, match = audio[name]
        session, style, gender = match.groups()
        yield Utterance(
            path=path,
            corpus="iemocap",
            speaker=session + gender,
            gender={"F": "female", "M": "male"}[gender],
            language="en",
            session=f"Session{int(session)}",
            style=STYLES[style],
            text=texts.get(name),
            **labels[name],
        )


def _read_dialogue_labels(root: Path) -> dict[str, dict]:
    """Return emotion, valence, arousal, dominance and votes of each turn, by utterance name."""
    labels = {}
    paths = _dialogue_files(root, "EmoEvaluation")
    if not paths:
        raise FileNotFoundError(
            f"No IEMOCAP labels under '{root}': expected Session1/dialog/EmoEvaluation/Ses01F_impro01.txt, found "
            f"{sorted(path.name for path in root.iterdir())[:5]}. Is data_root the folder IEMOCAP_full_release?"
        )
    for path in paths:
        votes: dict[str, float] = {}
        for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
            if line.startswith("["):
                votes = {}  # also before a turn that TURN does not match
            if turn := TURN.match(line):
                name, emotion, means = turn.groups()
                labels[name] = {
                    "emotion": EMOTIONS.get(emotion, canonical_emotion(emotion)),
                    "votes": votes,
                    **dict(zip(DIMENSIONS, map(read_number, (means or "").split(",")), strict=False)),
                }
            elif vote := VOTE.match(line):
                for choice in filter(None, map(str.strip, vote[1].split(";"))):
                    choice = canonical_emotion(choice)
                    votes[choice] = votes.get(choice, 0) + 1
    return labels


def _read_transcripts(root: Path) -> dict[str, str]:
    texts = {}
    for path in _dialogue_files(root, "transcriptions"):
        for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
            if match := TRANSCRIPT.match(line):
                texts[match[1]] = match[2].strip()
    return texts


def _dialogue_files(root: Path, folder: str) -> list[Path]:
    pattern = f"Session*/dialog/{folder}/Ses*.txt"  # "Ses" excludes hidden files ._Ses…
    return sorted([*root.glob(pattern), *root.glob(f"*/{pattern}")])
