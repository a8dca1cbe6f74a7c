"""CREMA-D, the Crowd-sourced Emotional Multimodal Actors Dataset.

91 actors (48 male, 43 female, aged 20 to 74), English, acted: 7442 utterances of twelve sentences in six
emotions; one sentence, "It's eleven o'clock", at three intensities. Licence ODbL 1.0, the recordings DbCL 1.0;
from https://github.com/CheyneyComputerScience/CREMA-D by `git lfs clone` (the folder `AudioWAV`). Ages and
genders are read from `VideoDemographics.csv`, the votes of the voice-only raters from
`processedResults/tabulatedVotes.csv`. Both tables may be anywhere under the root; without them these fields are None.

File names are actor_sentence_emotion_intensity: `1001_IEO_ANG_HI.wav` is actor 1001, "It's eleven o'clock",
angry, high. XX means that no intensity was requested. Left out: further files of the same name; of the owners' two
versions, the processed `AudioWAV` is kept, not the `AudioMP3` that the raters listened to. Kept, although the owners
list it as very short and silent: `1076_MTI_SAD_XX.wav`. In some copies the file
`1040_ITH_SAD_XX.wav` is named `1040_ITH_SAD_X.wav`.

Source: Cao et al. 2014, doi:10.1109/TAFFC.2014.2336244, and the owners' README
"""

import os
from collections.abc import Iterator
from pathlib import Path

from ser_hf.corpora.cells import read_number
from ser_hf.corpora.files import read_table
from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.name_grammar import match_names
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {"ANG": "angry", "DIS": "disgust", "FEA": "fearful", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
VOTES = {code[0]: emotion for code, emotion in EMOTIONS.items()}
INTENSITIES = {"LO": "low", "MD": "medium", "HI": "high"}
SENTENCES = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
FILE_NAME = r"(\d{4})_([A-Z]{3})_([A-Z]{3})_(LO|MD|HI|XX?)"


def crema_d(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of CREMA-D, each once.

    Files in `AudioMP3` are taken only if they have no other version.

    Args:
        root: Corpus folder; audio files may be at any depth.

    Yields:
        One utterance per file name, with speaker, gender, age, language, text, intensity and votes.

    Raises:
        FileNotFoundError: If `root` is not a folder or no file name matches.
        ValueError: If one of the tables lacks a column.
    """
    actors = {row["ActorID"]: row for row in _read_tables(root, "VideoDemographics.csv", "ActorID", "Age", "Sex")}
    votes = _count_voice_votes(root)
    files = match_names(root, FILE_NAME, corpus="CREMA-D", example="AudioWAV/1001_IEO_ANG_HI.wav")
    for path, match in files.values():
        actor, sentence, emotion, intensity = match.groups()
        demographics = actors.get(actor, {"Sex": "", "Age": ""})
        age = read_number(demographics["Age"])
        yield Utterance(
            path=path,
            corpus="crema_d",
            emotion=EMOTIONS.get(emotion, canonical_emotion(emotion)),
            speaker=actor,
            gender=demographics["Sex"].lower() or None,
            age=None if age is None else int(age),
            language="en",
            text=SENTENCES.get(sentence),
            intensity=INTENSITIES.get(intensity),
            votes=votes.get(f"{actor}_{sentence}_{emotion}_{intensity.ljust(2, 'X')}"),
        )


def _count_voice_votes(root: str | os.PathLike) -> dict[str, dict[str, float]]:
    """Return each utterance's votes by canonical emotion, from voice-only ratings that took 10 s at most."""
    rows = _read_tables(root, "processedResults/tabulatedVotes.csv", "", "fileName", *VOTES)
    # The unnamed first column counts voice-only ratings from 100001, face-only from 200001, both from 300001.
    voices = [row for row in rows if row[""].startswith("1")]
    return {row["fileName"]: {emotion: int(row[code]) for code, emotion in VOTES.items()} for row in voices}


def _read_tables(root: str | os.PathLike, name: str, *columns: str) -> list[dict[str, str]]:
    return [row for path in sorted(Path(root).expanduser().rglob(name)) for row in read_table(path, *columns)]
