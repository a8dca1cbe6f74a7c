"""Cards of stored results."""

import json
from pathlib import Path

from ser_hf.publishing import card as cards
from ser_hf.runs.results import parse_results

GOLDEN = Path(__file__).parents[1] / "golden"
FINE_TUNED = sorted(path.parent for path in GOLDEN.glob("*/config.json"))
POOLED = sorted(path.parent for path in GOLDEN.glob("*_probe_*/all_results.json"))
METRICS = ("ua", "wa", "macro_f1")


def stored(folder):
    return json.loads((folder / "all_results.json").read_text(encoding="utf-8"))


def render_card(folder, results, **options):
    return cards.render_card(folder, parse_results(json.dumps(results)), **options)


def render_probe_card(folder, results):
    return cards.render_probe_card(folder, parse_results(json.dumps(results)))


def render_folds_card(results, fold):
    return cards.render_folds_card(parse_results(json.dumps(results)), fold)


def text_of(card):
    return " ".join(str(card).split())
