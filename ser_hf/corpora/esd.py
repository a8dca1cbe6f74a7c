"""ESD, the Emotional Speech Dataset.

Twenty speakers, ten of Mandarin Chinese (5 female, 5 male) and ten of English (5 female, 5 male), acted: 35000
utterances, the same 350 sentences in five emotions by each speaker of a language. For research only, after
signing a licence; from https://github.com/HLTSingapore/Emotional-Speech-Data.

Files are speaker/emotion/speaker_number: `0011/Angry/0011_000351.wav` is speaker 0011 (male, English), angry.
Some copies have another folder in between, train, evaluation or test, which becomes the split ("validation" for
evaluation; all speakers are in all three). The text is the second column of the speaker's table `0011/0011.txt`,
in UTF-8, UTF-16, GB 18030 or Windows-1252; without the table, and where its row lacks a tab, it is unknown. Left
out: that table's third column, which names the emotion once more.

Source: Zhou et al. 2022, https://www.sciencedirect.com/science/article/pii/S0167639321001308; genders from the
corpus' ReadMe.txt
"""

import codecs
import os
import re
from collections.abc import Iterator
from pathlib import Path

from ser_hf.corpora.files import match_names
from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {"Angry": "angry", "Happy": "happy", "Neutral": "neutral", "Sad": "sad", "Surprise": "surprised"}
SPLITS = {"train": "train", "evaluation": "validation", "test": "test"}
GENDERS = {
    **dict.fromkeys(["0001", "0002", "0003", "0007", "0009", "0015", "0016", "0017", "0018", "0019"], "female"),
    **dict.fromkeys(["0004", "0005", "0006", "0008", "0010", "0011", "0012", "0013", "0014", "0020"], "male"),
}
FILE_NAME = r"(\d{4})/([^/]+)/(?:(train|evaluation|test)/)?(\d{4}_\d{6})"


def esd(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of ESD under `root`, sorted by path.

    Raises:
        FileNotFoundError: If there is none.
    """
    tables = {}
    for path, match in match_names(root, FILE_NAME, corpus="ESD", example="0011/Angry/0011_000351.wav"):
        speaker, emotion, split, name = match.groups()
        language = "zh" if speaker <= "0010" else "en"
        folder = Path(path).parents[2 if split else 1]
        if folder not in tables:
            tables[folder] = _read_texts(folder / f"{speaker}.txt", language)
        yield Utterance(
            path=path,
            corpus="esd",
            emotion=EMOTIONS.get(emotion, canonical_emotion(emotion)),
            speaker=speaker,
            gender=GENDERS.get(speaker),
            language=language,
            split=SPLITS.get(split),
            text=tables[folder].get(name),
        )


def _read_texts(path: Path, language: str) -> dict[str, str]:
    """Return file name -> text; nothing where the speaker's table is missing."""
    if not path.is_file():
        return {}
    table = path.read_bytes()
    if table.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        rows = table.decode("utf-16")
    else:
        try:
            rows = table.decode("utf-8-sig")
        except UnicodeDecodeError:
            rows = table.decode("gb18030" if language == "zh" else "cp1252", errors="replace")
    return {name: text.strip() for name, text in re.findall(r"^(\d{4}_\d{6})\t([^\t\r\n]+)\t", rows, re.MULTILINE)}
