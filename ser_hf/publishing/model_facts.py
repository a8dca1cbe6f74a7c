"""Say what is known about a model to people who use it: test score, training corpus, weak emotions, intended use."""

import re
from pathlib import Path

from ser_hf.corpora.facts import CORPUS_FACTS
from ser_hf.corpora.files import pluralize
from ser_hf.escaping import markdown
from ser_hf.foreign_files import parse_yaml, read_text
from ser_hf.publishing.card_sections import CARD, read_sections
from ser_hf.runs.file_names import RECIPE, RESULTS
from ser_hf.runs.recipe import corpora_of
from ser_hf.runs.result_records import Results
from ser_hf.runs.results import parse_results
from ser_hf.serving.checkpoint_files import find_file
from ser_hf.tasks import load_task

WEAKEST = 3  # emotions
HEAD = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)  # metadata of a card
IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")


def describe_model(name: str, *, intended_use: bool = True) -> str:
    """Return a list in Markdown of what the results and the card of a model say.

    Args:
        name: Folder, or id on the Hub.
        intended_use: Whether the section of the card about the intended use is in the list.
    """
    results, use = _read_results(name), intended_use and read_sections(name).get("Intended use")
    if results is None:
        facts = ["**Test score:** unknown, because the model comes without results of ser_hf."]
    else:
        facts = [_describe_score(results), *_describe_corpora(name)]
        facts += [*_describe_weak(results), *_describe_doubt(results)]
    if use:
        facts.append(f"**Intended use:** {' '.join(use.split())}")
    if not Path(name).is_dir():
        facts.append(f"**Model card:** [{markdown(name)}](https://huggingface.co/{name})")
    return "\n".join(f"- {fact}" for fact in facts)


def read_card(name: str) -> str:
    """Return the text of a model card without metadata, pictures and HTML, so that a page loads nothing from elsewhere.

    Args:
        name: Folder, or id on the Hub.
    """
    path = find_file(name, CARD)
    text = "" if path is None else read_text(path, errors="replace").replace("\r\n", "\n")
    return IMAGE.sub("", HEAD.sub("", text)).replace("![", "[").replace("<", "&lt;").strip()


def _read_results(name: str) -> Results | None:
    """Return the results of a model; None if it has none, or a file of this name that another program wrote."""
    path = find_file(name, RESULTS)
    try:
        return None if path is None else parse_results(read_text(path))
    except ValueError:
        return None


def _describe_score(results: Results) -> str:
    task = load_task(results.task)
    name, metric = next(iter(task.METRICS.items()))
    scale, unit = (100, " %") if task.PERCENT else (1, "")
    score, (low, high) = getattr(results.test, name), results.test.intervals[name]
    decimals = 1 if task.PERCENT else 3
    shown = [f"{scale * value:.{decimals}f}" for value in (score, low, high)]
    independent = results.split is not None and results.split.speaker_independent
    strangers = " who were not in the training data" if independent else " who may be in the training data"
    voices = f" of {pluralize(results.test.speakers, 'speaker')}{strangers}" if results.test.speakers else ""
    return (
        f"**Test score:** {shown[0]}{unit} {metric.title.lower()} (95 % interval {shown[1]} to {shown[2]}{unit}), on "
        f"{pluralize(results.test.utterances, 'utterance')}{voices}."
    )


def _describe_corpora(name: str) -> list[str]:
    path = find_file(name, RECIPE)
    try:
        recipe = None if path is None else parse_yaml(read_text(path))
    except ValueError:
        recipe = None
    if not isinstance(recipe, dict) or "corpus" not in recipe:
        return []
    known = [CORPUS_FACTS[corpus] for corpus in corpora_of(recipe) if corpus in CORPUS_FACTS]
    return [f"**Trained on:** {'; '.join(f'{facts.title} ({facts.voices})' for facts in known)}."] if known else []


def _describe_weak(results: Results) -> list[str]:
    """Return the emotions whose recall is below the mean of all, if there are any."""
    each = getattr(results.test, "per_emotion", {})  # that of votes has no recall
    tested = [(row["recall"], name) for name, row in each.items() if row.get("support")]
    rows = [(recall, name) for recall, name in tested if recall < results.test.ua]  # type: ignore[attr-defined]
    weakest = ", ".join(f"{markdown(name)} {100 * recall:.0f} %" for recall, name in sorted(rows)[:WEAKEST])
    return [f"**Weakest emotions:** {weakest} (share of their test utterances that were recognised)."] if rows else []


def _describe_doubt(results: Results) -> list[str]:
    """Return what "uncertain" means, from the share of wrong answers of the test below and above the threshold."""
    calibration, right = results.calibration, getattr(results.test, "wa", None)
    if calibration is None or right is None:
        return []
    share, accuracy = (calibration.threshold["test"][name] for name in ("coverage", "accuracy"))
    if accuracy is None or share == 1:
        return []
    wrong_below = round(10 * (1 - (right - share * accuracy) / (1 - share)))
    return [
        f'**"Uncertain" means:** do not rely on this answer; of 10 such answers in the test, about {wrong_below} were '
        f"wrong, and of 10 other answers about {round(10 * (1 - accuracy))}."
    ]
