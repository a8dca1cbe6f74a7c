"""Load the speech for continued pretraining: no label is used, and no file of a test speaker is opened."""

import logging
from collections.abc import Iterable
from typing import NamedTuple

from datasets import DatasetDict, Value

from ser_hf.corpora import Utterance
from ser_hf.data import build_dataset, prepare_audio
from ser_hf.data.dataset import Label
from ser_hf.data.preparation import AudioProblem
from ser_hf.data.protocols import speaker_of, speakers_of
from ser_hf.data.splits import Split
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.speech_data import audio_folders, label_utterances, load_utterances, select_split

logger = logging.getLogger(__name__)


class UnlabelledSpeech(NamedTuple):
    """Hold the dataset of continued pretraining, its speakers, and the list of utterances with unusual audio."""

    dataset: DatasetDict  # "train" and "validation"
    speakers: list[tuple[str, str | None]]  # corpus and speaker, sorted
    problems: list[AudioProblem]


def load_unlabelled_speech(data: DataArguments) -> UnlabelledSpeech:
    """Load and decode the training and validation utterances of the split that fine-tuning makes with these arguments.

    Utterances that have no label in the recipe are added to the part that contains all other utterances of their
    speaker.

    Raises:
        ValueError: If a corpus, its labels or its split is not as expected, or a part has no readable audio.
        FileNotFoundError: If a folder is missing or does not contain the corpus.
    """
    utterances = list(load_utterances(data))
    labelled, _ = label_utterances(data, utterances)
    split = _add_unlabelled(select_split(data, labelled), utterances, given=data.split == "given")
    split, problems = prepare_audio(split, data.hearing, min_duration=data.min_duration)
    dataset = build_dataset(split, audio_folders(data), data.hearing, label=Label(Value("int64"), lambda _: None))
    speakers = sorted(set().union(*map(speakers_of, split.values())), key=str)
    return UnlabelledSpeech(dataset, speakers, problems)


def _add_unlabelled(split: Split, utterances: Iterable[Utterance], *, given: bool) -> Split:
    """Return train and validation with the utterances that are in no part and whose speaker is in that part only."""
    speakers = {part: speakers_of(members) for part, members in split.items()}
    known = {_place(utterance) for members in split.values() for utterance in members}
    rest = [utterance for utterance in utterances if utterance.speaker and _place(utterance) not in known]
    extended = {}
    for part in ("train", "validation"):
        others = set().union(*(found for name, found in speakers.items() if name != part))
        own = speakers[part] - others
        # the owners of a corpus may have assigned an utterance of this speaker to a further test set
        added = [row for row in rest if speaker_of(row) in own and not (given and row.split != part)]
        logger.info(f"Added {len(added)} utterances without a label to the {len(split[part])} utterances of {part}.")
        extended[part] = split[part] + added
    return extended


def _place(utterance: Utterance) -> tuple:
    return utterance.path, utterance.start, utterance.end
