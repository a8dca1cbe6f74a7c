"""Generate the synthetic corpus: eight synthetic speakers and six emotions, written to disk on first use.

**Scores on this corpus say nothing about human speech.** It tests the pipeline without a download: a source-filter
synthesiser produces nonsense sentences with the prosody and voice quality that the literature reports for each
emotion. A model that performs well here has learnt the tables of `speech_synthesis`, not human emotion.

8 speakers (odd numbers male, even numbers female) differ in pitch, vocal tract length, tempo, level and voice quality.
There is no language: each speaker says the same ten nonsense sentences once in each emotion, which gives
480 utterances of 0.8 to 1.9 seconds, 16 kHz mono. The distance to the microphone and the sentence length vary, so
that neither level nor duration alone identifies the emotion. Licence: that of this package.

File names are `speaker_<speaker>/sp<speaker>-<emotion>-<sentence>.wav`: `speaker_02/sp02-angry-03.wav` is
speaker 02 (female), angry, third sentence, "soga mide bu". Nothing is left out.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path

from ser_hf.corpora.simulated_annotators import annotate
from ser_hf.corpora.speech_synthesis import EMOTIONS, SAMPLING_RATE, SENTENCES, VOICES, synthesize
from ser_hf.corpora.utterance import Utterance


def synthetic(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of the synthetic corpus, sorted by path.

    The corpus is written first if `root` is empty or does not exist.

    Args:
        root: Corpus folder.

    Yields:
        One utterance per file, with speaker, gender, text and vocal channel, and with the votes and mean ratings
        (1 to 7) of five simulated annotators.

    Raises:
        FileNotFoundError: If `root` is not empty and contains no files of this corpus.
    """
    with suppress(FileExistsError):  # already written, possibly by another process
        write_synthetic(root)
    paths = sorted(Path(root).expanduser().glob("speaker_*/sp*-*-*.wav"))
    if not paths:
        raise FileNotFoundError(
            f"No synthetic utterances under '{root}': expected files like speaker_02/sp02-angry-03.wav. "
            "To have them written, name an empty folder or one that does not exist."
        )
    for path in paths:
        speaker, emotion, sentence = path.stem.removeprefix("sp").split("-")
        yield Utterance(
            path=str(path),
            corpus="synthetic",
            emotion=emotion,
            speaker=speaker,
            gender=VOICES[int(speaker)].gender,
            text=SENTENCES[int(sentence)],
            vocal_channel="speech",
            **annotate(emotion, int(speaker), int(sentence)),
        )


def write_synthetic(root: str | os.PathLike, *, seed: int = 0) -> None:
    """Write the whole corpus to a folder; an interrupted call does not create the folder.

    Args:
        root: Folder to create.
        seed: Random seed. Another seed gives other recordings of the same speakers and sentences.

    Raises:
        FileExistsError: If `root` exists and is not empty.
    """
    import soundfile

    root = Path(root).expanduser()
    if root.exists() and any(root.iterdir()):
        raise FileExistsError(f"'{root}' contains files: expected an empty folder, or one that does not exist.")
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{root.name}-", dir=root.parent) as scratch:
        corpus = Path(scratch, "corpus")
        for speaker, emotion, sentence in product(VOICES, EMOTIONS, SENTENCES):
            path = corpus / f"speaker_{speaker:02}" / f"sp{speaker:02}-{emotion}-{sentence:02}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            waveform = synthesize(emotion, speaker, sentence, seed=seed)
            soundfile.write(path, waveform, SAMPLING_RATE, subtype="PCM_16")
        try:
            if root.exists():
                root.rmdir()  # an empty folder, which Windows does not replace
            corpus.rename(root)
        except OSError as error:
            raise FileExistsError(f"Another process wrote to '{root}' at the same time.") from error
