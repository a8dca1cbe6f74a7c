"""Results without names: who the speakers are stays at home, in predictions.csv and the local all_results.json."""

PARTS = ("train", "validation", "test")


def hide_speakers(results: dict) -> dict:
    """Return the results of a run with numbers in place of speakers: 1 for the best UA of a part, as in its card.

    Args:
        results: What all_results.json holds.
    """
    split = results["split"] | {
        part: described | {"speakers": _number(described["speakers"])}
        for part, described in results["split"].items()
        if part in PARTS
    }
    hidden = results | {"split": split} | {part: _rank(results[part]) for part in PARTS if part in results}
    if recommended := results.get("recommended"):
        hidden["recommended"] = recommended | {"test": _rank(recommended["test"])}
    return hidden


def _number(names: list[str]) -> list[str]:
    return [f"speaker {number}" for number in range(1, len(names) + 1)]


def _rank(summary: dict) -> dict:
    ranked = sorted(summary["per_speaker"].values(), key=lambda scores: -scores["ua"])
    return summary | {"per_speaker": {f"speaker {rank}": scores for rank, scores in enumerate(ranked, 1)}}
