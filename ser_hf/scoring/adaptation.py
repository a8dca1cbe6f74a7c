"""Measure what the adaptation to one voice brings, by the number of clips and the mix of their emotions.

Shapes: N utterances of a speaker, S speakers, C emotions, R resamples.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ser_hf.cache import write_text
from ser_hf.corpora.spelling import unspell
from ser_hf.data import decode_audio
from ser_hf.evaluation import figures, read_predictions
from ser_hf.evaluation.scores import count_confusion, ua
from ser_hf.heads.linear_head import check_linear
from ser_hf.heads.voice import VoiceHead
from ser_hf.heads.voice_files import VOICE, load_voice_head
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.file_names import PREDICTIONS
from ser_hf.runs.recipe import corpora_of, read_recipe
from ser_hf.runs.speech_data import audio_folders
from ser_hf.serving import EmotionClassifier
from ser_hf.serving.adaptation import read_inputs

SIZES = (1, 2, 5, 10, 20)
RESAMPLES = 1000


@dataclass
class SpeakerInputs:
    """Hold the test utterances of a speaker.

    Attributes:
        inputs: Inputs of the head ``(N, D)``.
        labels: ``(N,)``.
        answers: Labels that the model without adaptation gives ``(N,)``.
        head: Head for known voices of the model.
    """

    inputs: np.ndarray
    labels: np.ndarray
    answers: np.ndarray
    head: VoiceHead


@dataclass
class CurvePoint:
    """Hold the scores for one number of clips and one mix of emotions.

    Attributes:
        mix: "as recorded", "Dirichlet" (shares of the emotions drawn uniformly) or "neutral only".
        clips: Number of clips of a speaker, without labels; None for all utterances of the speaker.
        draws: Number of random draws of the clips.
        ua: UA on the other utterances of the speakers; on the same utterances if all are clips.
        interval: 95 % interval of the UA, over speakers.
        difference: UA minus the UA without adaptation on the same utterances.
        difference_interval: 95 % interval of the difference, over speakers, paired.
        lower: Number of speakers with a lower share of correct answers than without adaptation.
        speakers: Number of speakers S.
    """

    mix: str
    clips: int | None
    draws: int
    ua: float
    interval: list[float]
    difference: float
    difference_interval: list[float]
    lower: int
    speakers: int


def measure_adaptation(folders: Sequence[str | Path], data_root: Sequence[str], *, draws: int = 20) -> dict:
    """Return the curve of the test speakers of finished runs, such as the folds of `cross_validate`.

    Args:
        folders: Output folders of `finetune` with `voice_head: true`.
        data_root: Folder of each corpus of the runs.
        draws: Number of random draws of the clips.

    Returns:
        Entries for a JSON file: "without" (UA without adaptation) and "points", see `CurvePoint`.

    Raises:
        FileNotFoundError: If a folder is not a finished run with a head for known voices.
        ValueError: If the runs have different emotions, or their head is not linear.
    """
    voices: list[SpeakerInputs] = []
    names: set[tuple[str, ...]] = set()
    for folder in map(Path, folders):
        for file in (PREDICTIONS, VOICE):
            if not (folder / file).is_file():
                raise FileNotFoundError(f"'{folder}' has no {file}: expected a run of finetune with --voice_head true.")
        classifier = EmotionClassifier.from_pretrained(folder, backend="torch")
        names.add(tuple(classifier.emotions))
        voices += read_voices(classifier, folder, data_root)
    if len(names) > 1:
        raise ValueError(f"Expected runs with the same emotions, found {sorted(names)}.")
    return measure_curve(voices, names.pop(), draws=draws)


def read_voices(classifier: EmotionClassifier, folder: Path, data_root: Sequence[str]) -> Iterator[SpeakerInputs]:
    """Yield the test speakers of a run."""
    checkpoint, head = classifier.checkpoint, load_voice_head(folder / VOICE)
    assert checkpoint is not None  # of backend "torch"
    check_linear(checkpoint.model)
    roots = audio_folders(DataArguments(corpora_of(read_recipe(folder)), list(data_root)))
    rows = read_predictions(folder / PREDICTIONS).query("split == 'test'")
    rows = rows.astype(object).where(rows.notna(), None)
    for _, own in rows.groupby(["corpus", "speaker"]):
        waveforms = [
            decode_audio(roots[r.corpus] / unspell(r.path), start=r.start, end=r.end) for r in own.itertuples()
        ]
        labels, answers = (np.array([classifier.emotions.index(e) for e in own[c]]) for c in ("target", "prediction"))
        yield SpeakerInputs(read_inputs(checkpoint, waveforms), labels, answers, head)


def measure_curve(voices: Sequence[SpeakerInputs], emotions: Sequence[str], *, draws: int = 20) -> dict:
    """Return the curve of some test speakers, see `measure_adaptation`.

    Clips are drawn without replacement, and the other utterances of the speaker are scored, except for the last point,
    where all utterances are clips and are scored. Sizes that a speaker does not have are left out.

    Args:
        voices: Test speakers.
        emotions: Names of the C emotions.
        draws: Number of random draws of the clips.
    """
    classes, fewest = len(emotions), min(len(voice.labels) for voice in voices)
    points = []
    for mix, draw in _mixes(emotions).items():
        for size in SIZES:
            available = [np.count_nonzero(voice.labels == emotions.index("neutral")) for voice in voices] if (
                mix == "neutral only"
            ) else [fewest]  # fmt: skip
            if size < min(available):
                counts = np.array([_count(voice, draw, size, draws, classes) for voice in voices])
                points.append(_summarize(counts, mix, size, draws))
    everything = np.array([_count(voice, None, fewest, 1, classes) for voice in voices])
    points.append(_summarize(everything, "as recorded", None, 1))
    without = float(ua(everything[:, 1].sum(0)))
    return {"without": without, "points": [asdict(point) for point in points]}


def write_curve(curve: Mapping, folder: str | Path) -> None:
    """Write adaptation.json and adaptation.png into a folder, which is created if necessary."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "adaptation.json", json.dumps(curve, indent=1) + "\n")
    figures.plot_adaptation(curve, folder / "adaptation.png")


def describe_curve(curve: Mapping) -> list[list[str]]:
    """Return the rows of a table of a curve, with a heading."""
    rows = [["mix of the clips", "clips", "UA", "minus UA without adaptation", "speakers lower"]]
    for point in curve["points"]:
        low, high, less, more = (100 * value for value in point["interval"] + point["difference_interval"])
        clips = "all, also scored" if point["clips"] is None else str(point["clips"])
        score = f"{100 * point['ua']:.1f} [{low:.1f}, {high:.1f}]"
        change = f"{100 * point['difference']:+.1f} [{less:+.1f}, {more:+.1f}]"
        rows.append([point["mix"], clips, score, change, f"{point['lower']} of {point['speakers']}"])
    return rows


def _mixes(emotions: Sequence[str]) -> dict[str, Callable[[np.ndarray, int, np.random.Generator], np.ndarray]]:
    """Return the functions that draw the row numbers of clips from labels; the last only if there is "neutral"."""

    def recorded(labels: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
        return rng.choice(len(labels), size, replace=False)

    def dirichlet(labels: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
        shares = rng.dirichlet(np.ones(len(emotions)))[labels] / np.bincount(labels, minlength=len(emotions))[labels]
        shares += 1e-9  # if the emotions of the largest shares have fewer utterances
        return rng.choice(len(labels), size, replace=False, p=shares / shares.sum())

    def neutral(labels: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
        return rng.choice(np.flatnonzero(labels == emotions.index("neutral")), size, replace=False)

    mixes = {"as recorded": recorded, "Dirichlet": dirichlet}
    return mixes | ({"neutral only": neutral} if "neutral" in emotions else {})


def _count(voice: SpeakerInputs, draw: Callable | None, size: int, draws: int, classes: int) -> np.ndarray:
    """Return the confusion matrices ``(2, C, C)`` with and without adaptation, over all draws."""
    found = np.zeros((2, classes, classes))
    everything = np.arange(len(voice.labels))
    for seed in range(draws):
        clips = draw(voice.labels, size, np.random.default_rng(seed)) if draw else everything
        scored = np.setdiff1d(everything, clips) if draw else everything
        weight, bias = voice.head.adapt(voice.inputs[clips])
        labels = voice.labels[scored]
        adapted = (voice.inputs[scored] @ weight.T + bias).argmax(1)
        for row, answers in enumerate((adapted, voice.answers[scored])):
            found[row] += count_confusion(labels, answers, range(classes))
    return found


def _summarize(confusions: np.ndarray, mix: str, clips: int | None, draws: int) -> CurvePoint:
    """Return the point of the confusion matrices ``(S, 2, C, C)`` of speakers."""
    speakers = len(confusions)
    drawn = np.random.default_rng(0).integers(speakers, size=(RESAMPLES, speakers))
    adapted, plain = ua(confusions[drawn].sum(1)).T  # (R,) each
    score, without = map(float, ua(confusions.sum(0)))
    right = np.trace(confusions, axis1=2, axis2=3)
    intervals = [np.quantile(values, [0.025, 0.975]).tolist() for values in (adapted, adapted - plain)]
    lower = int((right[:, 0] < right[:, 1]).sum())
    return CurvePoint(mix, clips, draws, score, intervals[0], score - without, intervals[1], lower, speakers)
