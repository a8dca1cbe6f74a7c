"""Save a model for one voice as a stock checkpoint, with a card that says what it is."""

import json
import os
import shutil
from pathlib import Path

from ser_hf.cache import write_text
from ser_hf.escaping import markdown
from ser_hf.runs.file_names import CARD
from ser_hf.serving import EmotionClassifier

TEXT = """---
library_name: transformers
pipeline_tag: audio-classification
---

# {title}, adapted to one voice

The head of {title} was adapted to the voice of one speaker, from {clips} clips ({seconds} s), {labelled} of them
with a label. All other weights are unchanged. The scores on the card of {title} were measured without adaptation: they
do not hold for this model, which was not evaluated. It is not meant for other speakers.

The weights contain statistics of the speaker's voice: share them only with the speaker's consent.

```python
from transformers import pipeline

pipeline("audio-classification", model={folder})(waveform, top_k=None)  # (T,) float32, mono, 16 kHz
```
"""


def save_adapted(classifier: EmotionClassifier, folder: str | os.PathLike) -> None:
    """Write the checkpoint of a classifier that `EmotionClassifier.adapt` returned: a stock model and its card.

    Args:
        classifier: The adapted classifier.
        folder: New or empty folder.

    Raises:
        ValueError: If the classifier is not adapted to a voice.
        FileExistsError: If the folder is not empty.
    """
    folder, checkpoint = Path(folder), classifier.checkpoint
    voice = getattr(checkpoint and checkpoint.model.config, "adapted_voice", None)
    if checkpoint is None or voice is None:
        raise ValueError("Expected a classifier for one voice, from EmotionClassifier.adapt; found the original one.")
    check_new(folder)
    partial = folder.with_name(f".{folder.name}.partial")  # renamed when it is complete
    shutil.rmtree(partial, ignore_errors=True)
    checkpoint.model.save_pretrained(partial)
    checkpoint.feature_extractor.save_pretrained(partial)
    title = markdown(Path(checkpoint.name).name)
    write_text(partial / CARD, TEXT.format(title=title, folder=json.dumps(folder.name), **voice))
    if folder.exists():
        folder.rmdir()
    partial.rename(folder)


def check_new(folder: str | os.PathLike) -> None:
    """Check that a folder does not exist, or is empty.

    Raises:
        FileExistsError: If it contains files, or is a file.
    """
    path = Path(folder)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"'{path}' is not empty: expected a new folder for the adapted checkpoint.")
