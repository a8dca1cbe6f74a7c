"""Define the part of all_results.json that describes the utterances: the split, their audio, and leaks."""

from dataclasses import dataclass, field


@dataclass
class Part:
    """Describe the training, validation or test part of a split.

    Attributes:
        speakers: Names of the known speakers.
        utterances: Number of utterances.
        emotions: Number of utterances by emotion.
        recordings: SHA-256 of the audio files and times, see `ser_hf.data.fingerprint.hash_recordings`.
    """

    speakers: list[str]
    utterances: int
    emotions: dict[str, int]
    recordings: str | None = None


@dataclass
class SplitRecord:
    """Describe a split.

    Attributes:
        name: Name of the split, for readers.
        speaker_independent: Whether no speaker is in two parts; None if unknown.
        test: Test part.
        train: Training part; None if a checkpoint is evaluated on a corpus.
        validation: Validation part; None if a checkpoint is evaluated on a corpus.
        digest: SHA-256 of corpus, path, times and part of every utterance.
    """

    name: str
    speaker_independent: bool | None
    test: Part
    train: Part | None = None
    validation: Part | None = None
    digest: str | None = None


@dataclass
class AudioRecord:
    """Count utterances with unusual audio by the action taken.

    Attributes:
        hours: Duration of all used utterances.
        skipped: Unreadable files.
        too_short: Utterances that are too short.
        windowed: Utterances that are split into windows.
        padded: Utterances that are zero-padded.
        partial: Utterances whose file lacks its end.
        dropped_emotions: Number of utterances that are left out because of their labels, by emotion and reason.
        unused_votes: Number of votes for emotions that are no outputs, by emotion.
        without_votes: Number of utterances without votes, for the task "votes".
    """

    hours: float = 0.0
    skipped: int = 0
    too_short: int = 0
    windowed: int = 0
    padded: int = 0
    partial: int = 0
    dropped_emotions: dict[str, int] = field(default_factory=dict)
    unused_votes: dict[str, float] = field(default_factory=dict)
    without_votes: int = 0


@dataclass
class LeakRecord:
    """Count the leaks between two parts of the split; None if a kind of leak was not checked."""

    shared_speaker: int
    identical_audio: int
    overlapping_audio: int | None = None
