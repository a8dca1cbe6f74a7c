"""Write example utterances for the widget on the Hub; they are synthetic, so no consent is needed."""

from pathlib import Path

import soundfile

from ser_hf.cache import whole_file
from ser_hf.corpora.speech_synthesis import SAMPLING_RATE, synthesize

FOLDER = "examples"
SPEAKERS = {"angry": 1, "happy": 2, "sad": 4}  # emotion -> speaker of the synthetic corpus
SENTENCE = 6


def write_examples(folder: str | Path) -> None:
    """Write one utterance of each of three emotions into examples/, mono at 16 kHz; existing files are kept."""
    for emotion, speaker in SPEAKERS.items():
        path = Path(folder, FOLDER, f"synthetic_{emotion}.wav")
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            with whole_file(path) as partial:
                soundfile.write(partial, synthesize(emotion, speaker, SENTENCE), SAMPLING_RATE, "PCM_16", format="WAV")
