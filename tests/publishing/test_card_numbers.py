"""Every number in a card is found in the stored results, the recipe, the config or the facts on the corpus."""

import copy
import json
import re
from dataclasses import asdict

import pytest
import yaml
from publishing.rendered_cards import (
    FINE_TUNED,
    GOLDEN,
    POOLED,
    render_card,
    render_folds_card,
    stored,
)

from ser_hf.corpora.facts import CORPUS_FACTS

PARTS = ("train", "validation", "test")
# No measurements: the interval's level, the input, the shortest utterance in training, by how much a leaking split
# flatters, Regulation (EU) 2024/1689 and its articles, and names.
CONSTANTS = (
    "95 %", "16 kHz", "float32", "0.25 s", "13 to 25", "2024/1689", "5(1)(f)", "50(3)", "macro-F1", "F1", "SHA-256",
)  # fmt: skip
MORE = {
    "calibration": {
        "temperature": 1.618,
        "fitted_on": "validation",
        "before": {part: {"ece": 0.181, "brier": 0.512, "nll": 1.251} for part in PARTS[1:]},
        "after": {part: {"ece": 0.053, "brier": 0.434, "nll": 0.757} for part in PARTS[1:]},
        "threshold": {"score": 0.437, "rule": "as low as can be"}
        | {part: {"coverage": 0.713, "accuracy": 0.889} for part in PARTS[1:]},
    }
}


def sources_of(folder):
    return yaml.safe_load((folder / "recipe.yaml").read_text()), json.loads((folder / "config.json").read_text())


def flatten(value):
    """Yield every number and text within a JSON-like value, keys too."""
    if isinstance(value, dict):
        yield from flatten([*value.keys(), *value.values()])
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from flatten(inner)
    elif value is not None and not isinstance(value, bool):
        yield value


def derived(results, config):
    """Yield what a card may derive: how many are in a stored list, and stored numbers in another unit."""
    training, folds = results["training"], results.get("folds", [])
    parts = [results["split"][part] for part in PARTS] if "split" in results else []
    yield from (len(results.get("outputs") or results["emotions"]), len(folds), *range(1, len(folds) + 1))
    yield from (len(part["speakers"]) for part in [*parts, *folds])
    yield from (part["seconds"] / 60 for part in [training, *folds])
    yield from ((training.get("parameters") or 0) / 1e6, config.get("max_source_positions", 0) / 50)


def unexplained(card, results, recipe, config):
    """Return the numbers of a card's body that are in none of its sources, at the precision they are printed with."""
    body = card.split("---\n", 2)[2] if card.startswith("---") else card
    leaves = [*flatten([results, recipe, config, asdict(CORPUS_FACTS[recipe["corpus"]])])]
    texts = {leaf for leaf in leaves if isinstance(leaf, str) and not re.fullmatch(r"\D*|\d+(\.\d+)?", leaf)}
    for known in sorted(texts | {*CONSTANTS}, key=len, reverse=True):
        body = re.sub(rf"(?<![\w.]){re.escape(known)}(?!\w|\.\d)", " ", body)
    body = re.sub(r"speaker \d+|fold_1", " ", body)
    numbers = [leaf for leaf in leaves if not isinstance(leaf, str)]
    shares = [100 * number for number in numbers if isinstance(number, float) and 0 <= number <= 1]
    sources = [*numbers, *shares, *derived(results, config)]
    found = set(re.findall(r"\d+(?:\.\d+)?", body))
    return {text for text in found if text not in {f"{value:.{len(text.partition('.')[2])}f}" for value in sources}}


@pytest.mark.parametrize("folder", FINE_TUNED, ids=lambda path: path.name)
@pytest.mark.parametrize("more", [{}, MORE], ids=["as stored", "calibrated"])
def test_every_number_in_the_card_is_found_in_what_is_stored(folder, more):
    results = stored(folder) | more
    results["split"] |= {"digest": "0f3a" * 16} if more else {}
    card = str(render_card(folder, results, repo_id="someone/model"))
    assert unexplained(card, results, *sources_of(folder)) == set()


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("test", "ua"), 0.0707), (("test", "per_emotion", "calm", "f1"), 0.0707), (("training", "seconds"), 5328),
        (("test", "per_speaker", "20", "wa"), 0.0707), (("split", "train", "utterances"), 7777),
        (("calibration", "after", "test", "nll"), 7.777), (("test", "intervals", "wa"), [0.0707, 0.8]),
    ],
)  # fmt: skip
def test_a_number_that_is_not_stored_is_noticed(place, value):
    folder = GOLDEN / "ravdess_whisper_tiny_fold_1"
    results = stored(folder) | MORE
    changed = copy.deepcopy(results)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    assert unexplained(str(render_card(folder, changed)), results, *sources_of(folder))


@pytest.mark.parametrize("folder", POOLED, ids=lambda path: path.name)
def test_every_number_of_a_cross_validation_is_stored_too(folder):
    card = render_folds_card(stored(folder), GOLDEN / "ravdess_whisper_tiny_fold_1")
    assert unexplained(card, stored(folder), {"corpus": "ravdess"}, {}) == set()


def test_there_are_stored_runs_of_both_kinds():
    assert len(FINE_TUNED) >= 2 and len(POOLED) >= 2
