"""Replace the names of speakers in results that are published."""

from dataclasses import replace

from ser_hf.runs.data_records import Part
from ser_hf.runs.result_records import Results, TaskScores
from ser_hf.tasks import load_task


def hide_speakers(results: Results) -> Results:
    """Return results with numbers instead of names of speakers; the best of a part is speaker 1, as in the card."""
    split, recommended = results.split, results.recommended
    assert split is not None
    metric = next(iter(load_task(results.task).METRICS))
    return replace(
        results,
        test=_rank(results.test, metric),
        validation=results.validation and _rank(results.validation, metric),
        split=replace(
            split,
            test=_number_speakers(split.test),
            train=split.train and _number_speakers(split.train),
            validation=split.validation and _number_speakers(split.validation),
        ),
        recommended=recommended and replace(recommended, test=_rank(recommended.test, metric)),
    )


def _number_speakers(part: Part) -> Part:
    return replace(part, speakers=[f"speaker {number}" for number in range(1, len(part.speakers) + 1)])


def _rank(scores: TaskScores, metric: str) -> TaskScores:
    ranked = sorted(scores.per_speaker.values(), key=lambda speaker: -speaker[metric])
    return replace(scores, per_speaker={f"speaker {rank}": speaker for rank, speaker in enumerate(ranked, 1)})
