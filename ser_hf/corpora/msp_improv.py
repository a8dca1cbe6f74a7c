r"""MSP-IMPROV: scenes that two actors improvise around a sentence, for the study of emotion perception.

12 actors (6 female, 6 male; a pair per session), American English: 8438 turns, acted to a varying degree, judged by
five or more annotators. On request from the University of Texas at Dallas, under its licence; from
https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Improv.html . The root holds `Evalution.txt` (spelled so)
and the folders `session1` … `session6` at any depth. Any audio extension is read.

`session1/S01A/T/MSP-IMPROV-S01A-F01-T-FM01.wav` is of the scene around sentence 01 that aims at anger (H happy, N
neutral, S sad: a target, not the label), spoken by F01, the woman of session 1. T is the target sentence within the
improvisation, R the same sentence read, S another turn of the improvisation, and P a turn of the natural
conversation around the scenes: the `style`. The last field has the scene's roles and the number of the turn.

The label file has a block per turn; the annotators follow the consensus:

    UTD-IMPROV-S01A-F01-T-FM01.avi; A; A:1.571429; V:2.142857; D:3.857143 ; N:3.428571;
    R1-p; Angry; Angry,Annoyed; A:1.000000; V:2.000000; D:4.000000; N:4.000000;

Valence and dominance run from 1 to 5. The file's activation falls from 1 (excited) to 5 (calm); `arousal` is turned
round, 6 - A, to rise as in the other corpora. `votes` counts the annotators' primary emotions; an annotator who is
listed twice counts once. Left out: naturalness, secondary emotions; turns without audio or without label. The owners
assign no split.

Source: Busso et al. 2017, doi:10.1109/TAFFC.2016.2515617
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ser_hf.corpora.files import first_copies, match_names, pair_names
from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {"A": "angry", "H": "happy", "N": "neutral", "O": "other", "S": "sad", "X": "no_agreement"}
STYLES = {"P": "natural interaction", "R": "target read", "S": "other improvised", "T": "target improvised"}
FILE_NAME = r"MSP-IMPROV-S\d\d[AHNS]-([FM])(\d\d)-([PRST])-[FM]{2}\d+"


def msp_improv(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of MSP-IMPROV under `root`, sorted by name.

    Utterances without audio, audio without label and audio of other names are counted in a warning each.

    Raises:
        FileNotFoundError: If there is no label file, or none of its utterances has audio.
    """
    example = "session1/S01A/T/MSP-IMPROV-S01A-F01-T-FM01.wav"
    files = match_names(root, FILE_NAME, corpus="MSP-IMPROV", example=example)
    audio = first_copies(files, corpus="MSP-IMPROV")
    root = Path(root).expanduser()
    labels = _read_labels(root)
    texts = {path.stem: path for path in root.glob("**/*ranscription*/**/MSP-IMPROV-*.txt")}
    for name in pair_names(labels, audio, root, corpus="MSP-IMPROV", example=example):
        path, match = audio[name]
        gender, session, style = match.groups()
        text = texts[name].read_text(encoding="utf-8-sig", errors="replace").strip() if name in texts else None
        yield Utterance(
            path=path,
            corpus="msp_improv",
            speaker=gender + session,
            gender={"F": "female", "M": "male"}[gender],
            language="en",
            session=f"session{int(session)}",
            style=STYLES[style],
            text=text,
            **labels[name],
        )


def _read_labels(root: Path) -> dict[str, dict]:
    """Return each turn's emotion, valence, arousal, dominance and votes, by utterance name."""
    paths = sorted(root.rglob("Eval*tion.txt"))  # some copies mend the spelling
    if not paths:
        raise FileNotFoundError(
            f"No MSP-IMPROV labels under '{root}': expected Evalution.txt beside the sessions, found "
            f"{sorted(path.name for path in root.iterdir())[:5]}. Is data_root the folder of the unpacked corpus?"
        )
    labels = {}
    for block in re.split(r"^UTD-", paths[0].read_text(encoding="utf-8-sig", errors="replace"), flags=re.MULTILINE)[1:]:
        consensus, *annotations = block.strip().splitlines()
        name, emotion, _ = (field.strip() for field in consensus.split(";", 2))
        means = {key: float(mean) for key, mean in re.findall(r"([AVD]):([\d.]+)", consensus)}  # NaN is left out
        annotators = dict(line.split(";")[:2] for line in annotations if ";" in line)
        labels[f"MSP-{Path(name).stem}"] = {
            "emotion": EMOTIONS.get(emotion, canonical_emotion(emotion)),
            "valence": means.get("V"),
            "arousal": 6 - means["A"] if "A" in means else None,
            "dominance": means.get("D"),
            "votes": dict(Counter(map(canonical_emotion, annotators.values()))),
        }
    return labels
