"""RAVDESS, the Ryerson Audio-Visual Database of Emotional Speech and Song.

24 professional actors (12 female, 12 male), North American English, acted: 1440 speech utterances in eight
emotions of two statements, two intensities (neutral has one) and two repetitions, and 1012 sung ones in six.
Licence CC BY-NC-SA 4.0; from https://zenodo.org/records/1188976 (`Audio_Speech_Actors_01-24.zip`, and
`Audio_Song_Actors_01-24.zip` for `ravdess_song`). Files with any audio extension are read, at any depth under the root.

File names are seven numbers, modality-channel-emotion-intensity-statement-repetition-actor:
`03-01-06-02-01-02-12.wav` is audio only, speech, fearful, strong, "Kids are talking by the door", second
repetition, actor 12 (even numbers are female). Left out: files with video (modality 01 and 02), and further files of
the same name.

Source: Livingstone & Russo 2018, doi:10.1371/journal.pone.0196391
"""

import os
import re
from collections.abc import Iterator

from ser_hf.corpora.labels import canonical_emotion
from ser_hf.corpora.name_grammar import match_names, no_utterances, stem_of
from ser_hf.corpora.utterance import Utterance

EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
INTENSITIES = {"01": "normal", "02": "strong"}
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
FILE_NAME = r"03-(01|02)-(\d\d)-(0[12])-(0[12])-(0[12])-([01]\d|2[0-4])"


def ravdess(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of RAVDESS speech, sorted by path.

    Args:
        root: Corpus folder; audio files may be at any depth.

    Yields:
        One utterance per file name, with speaker, gender, language, text, intensity, repetition and vocal channel.

    Raises:
        FileNotFoundError: If `root` is not a folder or has no speech files of RAVDESS.
    """
    return _parse_channel(root, channel="01", corpus="ravdess")


def ravdess_song(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of RAVDESS song, sorted by path.

    Args:
        root: Corpus folder; audio files may be at any depth.

    Yields:
        One utterance per file name, with speaker, gender, language, text, intensity, repetition and vocal channel.

    Raises:
        FileNotFoundError: If `root` is not a folder or has no song files of RAVDESS.
    """
    return _parse_channel(root, channel="02", corpus="ravdess_song")


def _parse_channel(root: str | os.PathLike, *, channel: str, corpus: str) -> Iterator[Utterance]:
    example = f"Actor_01/03-{channel}-05-01-02-01-12.wav"

    def name(match: re.Match) -> str | None:
        return stem_of(match) if match[1] == channel else None

    # a widely used copy of the corpus contains all files again in a sub-folder
    audio = match_names(root, FILE_NAME, corpus="RAVDESS", example=example, name=name)
    if not audio:
        raise FileNotFoundError(no_utterances(root, [], corpus="RAVDESS", example=example))
    for path, match in audio.values():
        _, emotion, intensity, statement, repetition, actor = match.groups()
        yield Utterance(
            path=path,
            corpus=corpus,
            emotion=EMOTIONS.get(emotion, canonical_emotion(emotion)),
            speaker=actor,
            gender="female" if int(actor) % 2 == 0 else "male",
            language="en",
            text=STATEMENTS[statement],
            intensity=INTENSITIES[intensity],
            repetition=int(repetition),
            vocal_channel="speech" if channel == "01" else "song",
        )
