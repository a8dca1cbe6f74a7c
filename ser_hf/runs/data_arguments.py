"""Define the arguments of a recipe for corpora, labels, split and augmentation."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ser_hf.corpora import CORPORA
from ser_hf.corpora.ratings import DIMENSIONS, RATING_SCALES
from ser_hf.data.silero import check_silero
from ser_hf.runs.ranges import check_ranges
from ser_hf.tasks import TASKS, check_task

if TYPE_CHECKING:  # imports scipy, which would slow down --help
    from ser_hf.data.hearing import Hearing


# Lowest and highest value of each number.
RANGES = {
    "min_utterances_per_emotion": (1, 1_000_000),
    "fold": (1, 100_000),
    "folds": (2, 1000),
    "min_duration": (0, 3600),
    "max_duration": (1, 3600),
    "window_overlap": (0, 0.9),
    "augment_probability": (0, 1),
    "noise_snr": (-20, 100),
    "time_shift": (0, 1),
    "mixup": (0, 100),
    "gain": (0, 60),
    "pitch": (0, 24),
    "tempo": (0, 0.9),
    "speed": (0, 0.9),
}


@dataclass
class DataArguments:
    """Define the corpora, labels, split and augmentation.

    Examples:
        >>> DataArguments(["synthetic"], trim="ends").hearing
        Hearing(trim='ends', max_duration=30.0, window_overlap=0.5, speech='energy')
    """

    corpus: list[str] = field(
        metadata={"help": "One or several corpora: " + ", ".join(CORPORA) + "."},
    )
    data_root: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Folder of each corpus; for 'table' the file, for 'hub' the folder or id on the Hub. Only "
            "'synthetic' needs none: it is written to the cache."
        },
    )
    layout: str | None = field(
        default=None,
        metadata={
            "help": "folder: meaning of its levels of folders, of partition, language, speaker, session, emotion and * "
            "(none), such as partition/emotion or speaker/emotion. None: recognised, or refused if ambiguous."
        },
    )
    speaker_pattern: str | None = field(
        default=None,
        metadata={"help": r"folder, table, hub: regular expression for the file name; group 1 is the speaker."},
    )
    columns: list[str] = field(
        default_factory=list,
        metadata={
            "help": "table, hub: names of columns that are not detected, field=column, such as emotion=label_text."
        },
    )
    audio_root: str | None = field(
        default=None, metadata={"help": "table: folder to which its paths are relative. None: the folder of the table."}
    )
    allow_outside: bool = field(
        default=False, metadata={"help": "table: allow files outside that folder, by absolute paths, .. or links."}
    )
    allow_missing: bool = field(
        default=False,
        metadata={
            "help": "Continue although an emotion has no readable audio, or more than a tenth of the utterances is "
            "skipped."
        },
    )
    subset: str | None = field(default=None, metadata={"help": "hub: configuration, if the dataset has several."})
    task: str = field(
        default="categories", metadata={"help": "What the model recognises in an utterance: " + ", ".join(TASKS) + "."}
    )
    auxiliary_task: Literal["none", "dimensions"] = field(
        default="none",
        metadata={
            "help": "finetune, categories and votes: also learn the ratings in training; they are saved as a second "
            "checkpoint in the folder auxiliary."
        },
    )
    target: Literal["emotion", "gender", "emotion_gender", "intensity"] = field(
        default="emotion", metadata={"help": "Label that is used as the category."}
    )
    no_consensus: Literal["keep", "drop"] = field(
        default="keep",
        metadata={"help": "votes: keep or drop the utterances on whose emotion the annotators do not agree."},
    )
    dimensions: list[str] = field(
        default_factory=lambda: list(DIMENSIONS),
        metadata={"help": "dimensions: one or more of " + ", ".join(DIMENSIONS) + "."},
    )
    rating_scale: list[float] = field(
        default_factory=list,
        metadata={
            "help": "dimensions: lowest and highest rating of a table, folder or dataset; known for "
            + ", ".join(RATING_SCALES)
            + "."
        },
    )
    label_set: Literal["all", "four", "big6"] = field(
        default="all", metadata={"help": "Emotions to keep; 'four' merges excited into happy, as usual for IEMOCAP."}
    )
    label_map: list[str] = field(
        default_factory=list, metadata={"help": "Emotions to rename, old=new; 'old=' drops an emotion."}
    )
    min_utterances_per_emotion: int = field(
        default=1, metadata={"help": "Emotions with fewer utterances are dropped, or merged into rare_emotion."}
    )
    rare_emotion: str | None = field(
        default=None, metadata={"help": "Name of the merged rare emotions. None: they are dropped."}
    )
    balance_corpora: bool = field(
        default=False,
        metadata={
            "help": "Several corpora: each emotion of each corpus has the same weight in training, however many "
            "utterances it has."
        },
    )
    split: Literal["speaker", "given", "random"] = field(
        default="speaker",
        metadata={
            "help": "speaker: hold out whole speakers; given: use the split of the corpus or table; random: hold out "
            "random utterances, which inflates the scores."
        },
    )
    protocol: str | None = field(
        default=None,
        metadata={
            "help": "Cross-validation: leave_one_session_out, leave_one_speaker_out, group_kfold, random_kfold, or "
            "published folds of the corpus, such as emobox and luna2021 for ravdess."
        },
    )
    fold: int = field(default=1, metadata={"help": "Fold of the protocol, from 1."})
    folds: int = field(default=5, metadata={"help": "Number of folds of group_kfold and random_kfold."})
    validation_share: float = field(
        default=0.2,
        metadata={"help": "Share of the training speakers for validation, above 0, at most 0.5; rounded to 1/2, 1/3 …"},
    )
    test_share: float = field(
        default=0.2,
        metadata={
            "help": "Share of the speakers for test, above 0, at most 0.5; rounded to 1/2, 1/3 …; not with a protocol."
        },
    )
    split_seed: int = field(
        default=0, metadata={"help": "Random seed of the split; the same seed gives the same split."}
    )
    trim: Literal["none", "ends", "pauses"] = field(
        default="none",
        metadata={
            "help": "ends: remove silence before and after the speech; pauses: also shorten the pauses within; "
            "finetune: in training utterances only."
        },
    )
    recommended_trim: Literal["none", "ends", "pauses"] = field(
        default="none",
        metadata={
            "help": "finetune: also score the test utterances with this trimming, and recommend it in the checkpoint's "
            "config for EmotionClassifier."
        },
    )
    speech: Literal["energy", "silero"] = field(
        default="energy",
        metadata={
            "help": "How trim and recommended_trim detect speech: by energy, or with Silero VAD (extra vad), which "
            "tells speech from music and noises."
        },
    )
    min_duration: float = field(default=0.0, metadata={"help": "Minimum seconds; shorter utterances are left out."})
    max_duration: float = field(
        default=30.0,
        metadata={"help": "Maximum seconds; longer utterances are split into windows; finetune: in training only."},
    )
    window_overlap: float = field(
        default=0.5, metadata={"help": "Overlap of consecutive windows, as a share of their length, 0 to 0.9."}
    )
    augment_probability: float = field(
        default=0.5, metadata={"help": "Probability of each augmentation below in training, 0 to 1."}
    )
    noise_snr: float | None = field(
        default=None, metadata={"help": "Add white noise at an SNR from this value to 30 dB higher, in dB."}
    )
    time_shift: float | None = field(
        default=None,
        metadata={"help": "Shift in time by up to this share of the utterance in both directions, 0 to 1."},
    )
    mixup: float = field(
        default=0.0,
        metadata={
            "help": "Mix pairs of utterances and their labels, with weights from Beta(mixup, mixup); 0: no mixup."
        },
    )
    gain: float | None = field(
        default=None, metadata={"help": "Change the level by up to this value in dB, up or down."}
    )
    pitch: float | None = field(
        default=None, metadata={"help": "Shift the pitch by up to this number of semitones, up or down."}
    )
    tempo: float | None = field(
        default=None,
        metadata={"help": "Change the speaking rate by up to this share, up or down, but not the pitch, 0 to 0.9."},
    )
    speed: float | None = field(
        default=None,
        metadata={
            "help": "Change the playback speed by up to this share, up or down: rate, pitch and formants change as if "
            "another speaker spoke, 0 to 0.9."
        },
    )
    noise_folder: str | None = field(
        default=None, metadata={"help": "Add noise from the recordings in this folder, at 0 to 30 dB."}
    )
    reverb: bool = field(
        default=False, metadata={"help": "Add the reverberation of random rooms. Needs the extra conditions."}
    )
    telephone: bool = field(
        default=False, metadata={"help": "Limit the band to 300 to 3400 Hz and encode with mu-law or GSM."}
    )
    codec: bool = field(default=False, metadata={"help": "Encode with MP3 or Opus at 8 to 64 kbit/s."})

    def __post_init__(self) -> None:
        check_task(self.task)
        check_ranges(self, RANGES)
        for name in ("validation_share", "test_share"):
            if not 0 < getattr(self, name) <= 0.5:
                raise ValueError(f"{name}: expected above 0 and at most 0.5, found {getattr(self, name)}.")
        if unknown := sorted(set(self.dimensions) - set(DIMENSIONS)) or not self.dimensions:
            raise ValueError(f"dimensions: expected some of {list(DIMENSIONS)}, found {unknown or self.dimensions}.")
        if self.rating_scale and not (len(self.rating_scale) == 2 and self.rating_scale[0] < self.rating_scale[1]):
            raise ValueError(f"rating_scale: expected the lowest and the highest rating, found {self.rating_scale}.")
        for name, spelling in (("label_map", "old=new"), ("columns", "field=column")):
            if bad := [item for item in getattr(self, name) if "=" not in item]:
                raise ValueError(f"{name}: expected {spelling}, found {bad}.")
        if self.corpus != ["synthetic"] and len(self.data_root) != len(self.corpus):
            raise ValueError(
                f"data_root: expected a folder for each corpus of {self.corpus}, found {self.data_root}. "
                "Pass --data_root FOLDER."
            )
        self._require_generic("layout", "folder")
        self._require_generic("speaker_pattern", "folder", "table", "hub")
        self._require_generic("columns", "table", "hub")
        self._require_generic("audio_root", "table")
        self._require_generic("subset", "hub")
        if self.speech != "energy" and self.trim == self.recommended_trim == "none":
            raise ValueError(f"speech: expected with trim or recommended_trim. Pass one, or leave out {self.speech}.")
        if self.speech == "silero":
            check_silero()
        if self.protocol is None and self.fold != 1:
            raise ValueError(f"fold: expected with --protocol only. Pass --protocol, or leave out --fold {self.fold}.")
        if self.protocol is not None and self.split != "speaker":
            raise ValueError(f"split: a protocol defines its own split. Leave out --split {self.split}.")

    @property
    def hearing(self) -> "Hearing":
        """Return the trimming and windows of training utterances."""
        from ser_hf.data.hearing import Hearing

        return Hearing(self.trim, self.max_duration, self.window_overlap, self.speech)

    def _require_generic(self, name: str, *corpora: str) -> None:
        if getattr(self, name) and not set(corpora) & set(self.corpus):
            raise ValueError(f"{name}: only for {', '.join(corpora)}, not for {self.corpus}. Leave it out.")
