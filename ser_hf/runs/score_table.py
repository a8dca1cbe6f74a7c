"""Write the scores of a run as text for a terminal."""

from ser_hf.runs.result_records import Results, TaskScores
from ser_hf.tasks import load_task
from ser_hf.terminal import align_columns, wrap

LISTED = 12  # emotions, those with the lowest recall


def describe_results(results: Results) -> str:
    """Return a table of scores with 95 % intervals, the recall of each emotion, and what readers must know of them."""
    parts = {name: part for name in ("validation", "test") if (part := getattr(results, name)) is not None}
    rows = [["", *parts]]
    for name, metric in load_task(results.task).METRICS.items():
        rows.append([metric.short, *(_with_interval(part, name) for part in parts.values())])
    if recalls := [_recalls(part) for part in parts.values() if _recalls(part)]:
        rows.append(["UA of guessing", *(f"{1 / len(part):.3f}" for part in recalls)])
        weakest = sorted(recalls[-1], key=recalls[-1].__getitem__)[:LISTED]
        rows += [[f"recall, {name}", *(f"{part[name]:.3f}" for part in recalls)] for name in weakest]
    rows.append(["utterances", *(str(part.utterances) for part in parts.values())])
    rows.append(["speakers", *(str(part.speakers or "unknown") for part in parts.values())])
    return "\n".join([*align_columns(rows), *map(wrap, filter(None, [results.test.warning]))])


def _with_interval(part: TaskScores, name: str) -> str:
    low, high = part.intervals[name]
    return f"{getattr(part, name):.3f} [{low:.3f}, {high:.3f}]"


def _recalls(part: TaskScores) -> dict[str, float]:
    """Return the recall of each emotion; nothing for tasks without recalls."""
    emotions = getattr(part, "per_emotion", {})
    return {name: scores["recall"] for name, scores in emotions.items() if "recall" in scores}
