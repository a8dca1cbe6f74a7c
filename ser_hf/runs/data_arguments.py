"""What a recipe can say about the speech it is made from."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ser_hf.corpora import CORPORA

if TYPE_CHECKING:  # imports scipy, for which --help would wait
    from ser_hf.data.hearing import Hearing


@dataclass
class DataArguments:
    """Which speech, which labels, and who is held out."""

    corpus: list[str] = field(
        metadata={"help": "Corpus, or several: " + ", ".join(CORPORA) + "."},
    )
    data_root: list[str] = field(
        default_factory=list,
        metadata={
            "help": "The folder of each corpus; the file of 'table', the Hub id or folder of 'hub'. Only 'synthetic' "
            "needs none: it is written to the cache."
        },
    )
    speaker_pattern: str | None = field(
        default=None,
        metadata={"help": r"folder, table, hub: regular expression over the file name; group 1 is the speaker."},
    )
    columns: list[str] = field(
        default_factory=list,
        metadata={"help": "table, hub: names of columns that are not guessed, ours=theirs, as in emotion=label_text."},
    )
    audio_root: str | None = field(
        default=None, metadata={"help": "table: the folder that its paths are relative to. None: the table's own."}
    )
    allow_outside: bool = field(
        default=False, metadata={"help": "table: let paths lead out of that folder, by .., a link or from the root."}
    )
    subset: str | None = field(default=None, metadata={"help": "hub: configuration of a dataset that has several."})
    target: Literal["emotion", "gender", "emotion_gender", "intensity"] = field(
        default="emotion", metadata={"help": "What is recognised."}
    )
    label_set: Literal["all", "four", "big6"] = field(
        default="all", metadata={"help": "Emotions to keep; 'four' lets excited join happy, as with IEMOCAP."}
    )
    label_map: list[str] = field(
        default_factory=list, metadata={"help": "Renamed emotions, old=new; 'old=' drops one."}
    )
    min_utterances_per_emotion: int = field(
        default=1, metadata={"help": "Emotions with fewer utterances are dropped, or merged into rare_emotion."}
    )
    rare_emotion: str | None = field(
        default=None, metadata={"help": "Name that rare emotions are merged into. None: they are dropped."}
    )
    split: Literal["speaker", "given", "random"] = field(
        default="speaker",
        metadata={
            "help": "Hold out whole speakers; take the partitions of the corpus' owners or the table; or hold out "
            "utterances at random, which inflates the scores."
        },
    )
    protocol: str | None = field(
        default=None,
        metadata={
            "help": "Folds: leave_one_session_out, leave_one_speaker_out, group_kfold, random_kfold, or those "
            "published for the corpus, such as emobox and luna2021 of ravdess."
        },
    )
    fold: int = field(default=1, metadata={"help": "Fold of the protocol, from 1."})
    folds: int = field(default=5, metadata={"help": "How many folds group_kfold and random_kfold have."})
    validation_share: float = field(
        default=0.2,
        metadata={"help": "Share of the training speakers for validation, above 0 to 0.5; rounded to 1/2, 1/3 …"},
    )
    test_share: float = field(
        default=0.2,
        metadata={
            "help": "Share of the speakers for test, above 0 to 0.5, rounded to 1/2, 1/3 …; not with a protocol."
        },
    )
    split_seed: int = field(default=0, metadata={"help": "Chooses the held-out speakers; same seed, same split."})
    trim: Literal["none", "ends", "pauses"] = field(
        default="none",
        metadata={
            "help": "Cut silence off the ends, or shorten pauses inside as well; finetune: of training utterances only."
        },
    )
    recommended_trim: Literal["none", "ends", "pauses"] = field(
        default="none",
        metadata={
            "help": "finetune: score the test utterances also with their silence cut so, as ser_hf can, and recommend "
            "it in the checkpoint's config."
        },
    )
    min_duration: float = field(default=0.0, metadata={"help": "Utterances of fewer seconds are left out."})
    max_duration: float = field(
        default=30.0,
        metadata={"help": "Split utterances of more seconds into windows; finetune: training utterances only."},
    )
    window_overlap: float = field(
        default=0.5, metadata={"help": "Share of a window that the next one repeats, 0 to 0.9."}
    )
    augment_probability: float = field(
        default=0.5, metadata={"help": "Chance of each augmentation below, at train time, 0 to 1."}
    )
    noise_snr: float | None = field(
        default=None, metadata={"help": "Add white noise at this SNR in dB or up to 30 dB better."}
    )
    time_shift: float | None = field(
        default=None, metadata={"help": "Shift by up to this share of the utterance either way."}
    )
    mixup: float = field(
        default=0.0, metadata={"help": "Blend utterances of a batch and their labels, by Beta(mixup, mixup); 0: none."}
    )
    gain: float | None = field(default=None, metadata={"help": "Change the level by up to this many dB either way."})
    pitch: float | None = field(
        default=None, metadata={"help": "Shift the pitch by up to this many semitones either way."}
    )
    tempo: float | None = field(
        default=None, metadata={"help": "Change the speaking rate by up to this share either way; pitch stays."}
    )
    speed: float | None = field(
        default=None,
        metadata={"help": "Play faster or slower by up to this share: rate, pitch and formants change, as in others."},
    )

    def __post_init__(self) -> None:
        for name in ("validation_share", "test_share"):
            if not 0 < getattr(self, name) <= 0.5:
                raise ValueError(f"{name}: expected above 0 and at most 0.5, found {getattr(self, name)}.")
        for name, spelling in (("label_map", "old=new"), ("columns", "ours=theirs")):
            if bad := [item for item in getattr(self, name) if "=" not in item]:
                raise ValueError(f"{name}: expected {spelling}, found {bad}.")
        if self.corpus != ["synthetic"] and len(self.data_root) != len(self.corpus):
            raise ValueError(
                f"data_root: expected a folder for each corpus of {self.corpus}, found {self.data_root}. "
                "Say --data_root FOLDER."
            )
        self._require_generic("speaker_pattern", "folder", "table", "hub")
        self._require_generic("columns", "table", "hub")
        self._require_generic("audio_root", "table")
        self._require_generic("subset", "hub")
        for name in ("augment_probability", "time_shift", "tempo", "speed"):
            if not 0 <= (getattr(self, name) or 0) <= 1:
                raise ValueError(f"{name}: expected 0 to 1, found {getattr(self, name)}.")
        if not 0 <= self.window_overlap <= 0.9:
            raise ValueError(f"window_overlap: expected 0 to 0.9, found {self.window_overlap}.")
        if self.max_duration < 1:
            raise ValueError(f"max_duration: expected at least 1 second, found {self.max_duration}.")
        if self.protocol is None and self.fold != 1:
            raise ValueError(f"fold: only a protocol has folds; say --protocol too, or leave out --fold {self.fold}.")
        if self.protocol is not None and self.split != "speaker":
            raise ValueError(f"protocol and split: a protocol holds out speakers; leave out --split {self.split}.")

    @property
    def hearing(self) -> "Hearing":
        """How training utterances are trimmed and cut into windows."""
        from ser_hf.data.hearing import Hearing

        return Hearing(self.trim, self.max_duration, self.window_overlap)

    def _require_generic(self, name: str, *corpora: str) -> None:
        if getattr(self, name) and not set(corpora) & set(self.corpus):
            raise ValueError(f"{name}: only {', '.join(corpora)} take it; {self.corpus} know theirs. Leave it out.")
