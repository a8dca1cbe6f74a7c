"""Utterances that the Hub's widget offers to try: synthetic ones, which are nobody's voice and free to share."""

from pathlib import Path

import soundfile

from ser_hf.cache import whole_file
from ser_hf.corpora.synthetic import SAMPLING_RATE, synthesize

FOLDER = "examples"
SPOKEN = {"angry": 1, "happy": 2, "sad": 4}  # emotion -> speaker of the synthetic corpus
SENTENCE = 6


def write_examples(folder: str | Path) -> None:
    """Write an utterance of each of three emotions into examples/, mono at 16 kHz; files already there stay."""
    for emotion, speaker in SPOKEN.items():
        path = Path(folder, FOLDER, f"synthetic_{emotion}.wav")
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            with whole_file(path) as partial:
                soundfile.write(partial, synthesize(emotion, speaker, SENTENCE), SAMPLING_RATE, "PCM_16", format="WAV")
