"""ShEMO, the Sharif Emotional Speech Database.

87 native speakers of Persian (31 female, 56 male), semi-natural: 3000 utterances cut from online radio plays, in five
emotions and neutral; the label is the majority vote of twelve annotators. Free of charge for academic purposes;
`female.zip`, `male.zip` and `transcript.zip` from https://github.com/mansourehk/ShEMO, all three unpacked into one
folder. Files with any audio extension are read, at any depth under the root.

File names give gender, speaker, emotion and number: `F03S02.wav` is the second sad utterance of the female speaker 03.
The text is read from the orthographic transcripts (`F03S02.ort`) if they are under the root too. Left out: the
phonetic transcripts (`.tra`).

Source: Mohamad Nezami et al. 2019, doi:10.1007/s10579-018-9427-x, and the README of the corpus
"""

import os
from collections.abc import Iterator
from pathlib import Path

from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.name_grammar import match_names
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {"A": "angry", "F": "fearful", "H": "happy", "N": "neutral", "S": "sad", "W": "surprised"}
FILE_NAME = r"(([FM])\d\d)([A-Z])\d\d"


def shemo(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of ShEMO, sorted by path.

    Args:
        root: Corpus folder; audio files may be at any depth.

    Yields:
        One utterance per file, with speaker, gender, language and text.

    Raises:
        FileNotFoundError: If `root` is not a folder or no file name matches.
    """
    transcripts = Path(root).expanduser().rglob("*.ort")
    texts = {path.stem: _read_orthography(path) for path in transcripts}
    for path, match in match_names(root, FILE_NAME, corpus="ShEMO", example="female/F03S02.wav").values():
        speaker, gender, emotion = match.groups()
        yield Utterance(
            path=path,
            corpus="shemo",
            emotion=EMOTIONS.get(emotion, canonical_emotion(emotion)),
            speaker=speaker,
            gender="female" if gender == "F" else "male",
            language="fa",
            text=texts.get(Path(path).stem),
        )


def _read_orthography(path: Path) -> str:
    text = path.read_bytes()
    try:
        return text.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return text.decode("cp1256", errors="replace").strip()  # the Windows encoding of Arabic script
