"""ESD, the Emotional Speech Dataset.

Twenty speakers, ten of Mandarin Chinese (5 female, 5 male) and ten of English (5 female, 5 male), acted: 35000
utterances, the same 350 sentences in five emotions by each speaker of a language. For research only, after
signing a licence; from https://github.com/HLTSingapore/Emotional-Speech-Data.

File paths are speaker/emotion/speaker_number: `0011/Angry/0011_000351.wav` is speaker 0011 (male, English), angry.
Some copies have a folder train, evaluation or test in between. It becomes the split ("validation" for evaluation);
each split has all speakers. The text is the second column of the speaker's table `0011/0011.txt`, encoded in
UTF-8, UTF-16, GB 18030 or Windows-1252; it is None without the table, or if the row has no tab. Left out: the third
column of the table, which repeats the emotion.

Source: Zhou et al. 2022, https://www.sciencedirect.com/science/article/pii/S0167639321001308; genders from the
ReadMe.txt of the corpus
"""

import codecs
import os
import re
from collections.abc import Iterator
from pathlib import Path

from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.name_grammar import match_names
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {"Angry": "angry", "Happy": "happy", "Neutral": "neutral", "Sad": "sad", "Surprise": "surprised"}
SPLITS = {"train": "train", "evaluation": "validation", "test": "test"}
GENDERS = {
    **dict.fromkeys(["0001", "0002", "0003", "0007", "0009", "0015", "0016", "0017", "0018", "0019"], "female"),
    **dict.fromkeys(["0004", "0005", "0006", "0008", "0010", "0011", "0012", "0013", "0014", "0020"], "male"),
}
FILE_NAME = r"(\d{4})/([^/]+)/(?:(train|evaluation|test)/)?(\d{4}_\d{6})"


def esd(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of ESD, sorted by path.

    Args:
        root: Corpus folder; audio files may be at any depth.

    Yields:
        One utterance per file, with speaker, gender, language, split and text.

    Raises:
        FileNotFoundError: If `root` is not a folder or no file name matches.
    """
    tables = {}
    for path, match in match_names(root, FILE_NAME, corpus="ESD", example="0011/Angry/0011_000351.wav").values():
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
    """Return the text of each file name; empty if the speaker's table is missing."""
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
