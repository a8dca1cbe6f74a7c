r"""MSP-IMPROV: scenes that two actors improvise around a sentence, for the study of emotion perception.

12 actors (6 female, 6 male; one pair per session), American English: 8438 turns, acted to a varying degree, rated by
five or more annotators. On request from the University of Texas at Dallas, under its licence; from
https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Improv.html . The root contains `Evalution.txt` (spelled so)
and the folders `session1` … `session6` at any depth. Files with any audio extension are read.

`session1/S01A/T/MSP-IMPROV-S01A-F01-T-FM01.wav` belongs to the scene of sentence 01 with target emotion anger (A; H is
happy, N neutral, S sad; the label may differ), spoken by F01, the woman of session 1. The letter before the last
field is the `style`: T is the target sentence within the improvisation, R the same sentence read, S another turn of
the improvisation, P a turn of the natural conversation around the scenes. The last field has the roles in the scene
and the number of the turn.

The label file has a block per turn, with the consensus first and then one line per annotator:

    UTD-IMPROV-S01A-F01-T-FM01.avi; A; A:1.571429; V:2.142857; D:3.857143 ; N:3.428571;
    R1-p; Angry; Angry,Annoyed; A:1.000000; V:2.000000; D:4.000000; N:4.000000;

Valence and dominance range from 1 to 5. Activation in the file ranges from 1 (excited) to 5 (calm); `arousal` is
6 - A, so that it increases with excitement as in the other corpora. `votes` counts the primary emotions of the
annotators; an annotator listed twice counts once. Left out: naturalness, secondary emotions; turns without audio or
label. The owners define no split.

Source: Busso et al. 2017, doi:10.1109/TAFFC.2016.2515617
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.name_grammar import match_names, pair_names
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {"A": "angry", "H": "happy", "N": "neutral", "O": "other", "S": "sad", "X": "no_agreement"}
STYLES = {"P": "natural interaction", "R": "target read", "S": "other improvised", "T": "target improvised"}
FILE_NAME = r"MSP-IMPROV-S\d\d[AHNS]-([FM])(\d\d)-([PRST])-[FM]{2}\d+"


def msp_improv(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of MSP-IMPROV, sorted by name.

    Logs how many turns have no audio, how many audio files have no label, and how many files have other names.

    Args:
        root: Corpus folder; audio files may be at any depth.

    Yields:
        One utterance per turn, with speaker, gender, language, session, style, text, valence, arousal, dominance and
        votes.

    Raises:
        FileNotFoundError: If `root` is not a folder, has no label file, or no labelled turn has audio.
    """
    example = "session1/S01A/T/MSP-IMPROV-S01A-F01-T-FM01.wav"
    audio = match_names(root, FILE_NAME, corpus="MSP-IMPROV", example=example)
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
    """Return emotion, valence, arousal, dominance and votes of each turn, by utterance name."""
    paths = sorted(root.rglob("Eval*tion.txt"))  # some copies correct the spelling
    if not paths:
        raise FileNotFoundError(
            f"No MSP-IMPROV labels under '{root}': expected Evalution.txt next to the session folders, found "
            f"{sorted(path.name for path in root.iterdir())[:5]}. Is data_root the folder of the unpacked corpus?"
        )
    labels = {}
    for block in re.split(r"^UTD-", paths[0].read_text(encoding="utf-8-sig", errors="replace"), flags=re.MULTILINE)[1:]:
        consensus, *annotations = block.strip().splitlines()
        name, emotion, _ = (field.strip() for field in consensus.split(";", 2))
        means = {key: float(mean) for key, mean in re.findall(r"([AVD]):([\d.]+)", consensus)}  # does not match NaN
        annotators = dict(line.split(";")[:2] for line in annotations if ";" in line)
        labels[f"MSP-{Path(name).stem}"] = {
            "emotion": EMOTIONS.get(emotion, canonical_emotion(emotion)),
            "valence": means.get("V"),
            "arousal": 6 - means["A"] if "A" in means else None,
            "dominance": means.get("D"),
            "votes": dict(Counter(map(canonical_emotion, annotators.values()))),
        }
    return labels
