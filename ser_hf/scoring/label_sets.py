"""Find the labels that corpora share, and limit a recipe to some corpora and to these labels."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ser_hf.corpora import canonical_emotion
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.speech_data import label_utterances, load_utterances, name_roots

# Options of DataArguments that belong to some corpora only, with the value if there is no such corpus.
OWN_OPTIONS: dict[str, Any] = {
    "layout": None, "speaker_pattern": None, "columns": [], "audio_root": None, "subset": None,
}  # fmt: skip
GENERIC = {"folder", "table", "hub"}


@dataclass
class LabelSet:
    """Describe the labels of a corpus.

    Attributes:
        used: {label: number of utterances}; these are trained and tested.
        mapped: {emotion of the corpus: label}, the emotions that are renamed.
        left_out: {emotion of the corpus: number of utterances}.
        absent: Labels of the other corpora that this corpus does not have.
    """

    used: dict[str, int]
    mapped: dict[str, str]
    left_out: dict[str, int]
    absent: list[str]


@dataclass
class CorpusLabels:
    """Hold the label of each emotion of a corpus, None if a recipe drops it, and the numbers of utterances."""

    labels: dict[str, str | None]
    counts: dict[str, int]


def read_labels(data: DataArguments) -> dict[str, CorpusLabels]:
    """Return the labels of each corpus of a recipe, by the name of the corpus.

    Raises:
        ValueError: If `label_map` renames an emotion that no corpus has, or for the reasons of `label_utterances`.
        FileNotFoundError: If a folder is missing or does not contain the corpus.
    """
    raw = {name: list(load_utterances(choose_corpora(data, [name]))) for name in name_roots(data)}
    counts = {name: Counter(row.emotion for row in rows) for name, rows in raw.items()}
    known, renamed = set().union(*counts.values()), {canonical_emotion(item.split("=")[0]) for item in data.label_map}
    if unknown := sorted(renamed - known):
        raise ValueError(f"label_map renames {unknown}: expected emotions of the corpora, {sorted(known)}.")
    tables = {}
    for name, rows in raw.items():
        kept, _ = label_utterances(_limit_map(choose_corpora(data, [name]), counts[name]), rows)
        labels = {(row.path, row.start, row.end): row.emotion for row in kept}
        mapped = dict.fromkeys(sorted(counts[name]))
        mapped |= {row.emotion: label for row in rows if (label := labels.get((row.path, row.start, row.end)))}
        tables[name] = CorpusLabels(mapped, dict(counts[name]))
    return tables


def choose_corpora(data: DataArguments, names: Sequence[str]) -> DataArguments:
    """Return the data arguments for some of the corpora, named as by `name_roots`."""
    places = [i for i, name in enumerate(name_roots(data)) if name in names]
    corpora = [data.corpus[i] for i in places]
    options = {} if GENERIC & set(corpora) else OWN_OPTIONS
    for name, generic in (("layout", "folder"), ("audio_root", "table"), ("subset", "hub")):
        options = options if generic in corpora else options | {name: None}
    if not {"table", "hub"} & set(corpora):
        options = options | {"columns": []}
    return replace(data, corpus=corpora, data_root=[data.data_root[i] for i in places], **options)


def common_labels(tables: Mapping[str, CorpusLabels]) -> list[str]:
    """Return the sorted labels that all corpora have.

    Raises:
        ValueError: If they share fewer than two labels.
    """
    sets = {name: {label for label in table.labels.values() if label} for name, table in tables.items()}
    common = sorted(set.intersection(*sets.values()))
    if len(common) < 2:
        raise ValueError(
            f"Expected at least two labels that all corpora share, found {common}: {_list_sets(sets)}. Rename emotions "
            "with --label_map old=new, leave a corpus out, or use --labels pairwise."
        )
    return common


def check_pairs(tables: Mapping[str, CorpusLabels]) -> None:
    """Check that each corpus shares labels with another.

    Raises:
        ValueError: If a corpus shares fewer than two labels with every other.
    """
    sets = {name: {label for label in table.labels.values() if label} for name, table in tables.items()}
    for name, labels in sets.items():
        if all(len(labels & others) < 2 for other, others in sets.items() if other != name):
            raise ValueError(
                f"Expected that '{name}' shares at least two labels with another corpus, found none: "
                f"{_list_sets(sets)}. Rename emotions with --label_map old=new, or leave the corpus out."
            )


def limit_labels(
    data: DataArguments, names: Sequence[str], tables: Mapping[str, CorpusLabels], keep: Collection[str] | None
) -> DataArguments:
    """Return the data arguments for some corpora, limited to some labels; None keeps all labels of these corpora."""
    chosen = [tables[name] for name in names]
    emotions = {emotion for table in chosen for emotion in table.labels}
    limited = _limit_map(choose_corpora(data, names), emotions)
    if keep is None:
        return limited
    used = {emotion for table in chosen for emotion, label in table.labels.items() if label in keep}
    return replace(limited, label_map=limited.label_map + [f"{emotion}=" for emotion in sorted(emotions - used)])


def describe_labels(tables: Mapping[str, CorpusLabels], keep: Collection[str] | None) -> dict[str, LabelSet]:
    """Return what becomes of the emotions of each corpus, by its name."""
    everything = {label for table in tables.values() for label in table.labels.values() if label}
    return {
        name: _describe_set(table, everything if keep is None else keep, everything) for name, table in tables.items()
    }


def _describe_set(table: CorpusLabels, keep: Collection[str], everything: Collection[str]) -> LabelSet:
    used: Counter[str] = Counter()
    left_out, mapped = {}, {}
    for emotion, label in table.labels.items():
        if label is None or label not in keep:
            left_out[emotion] = table.counts[emotion]
            continue
        used[label] += table.counts[emotion]
        if label != emotion:
            mapped[emotion] = label
    absent = sorted(set(everything) - {label for label in table.labels.values() if label})
    return LabelSet(dict(sorted(used.items())), mapped, left_out, absent)


def _limit_map(data: DataArguments, emotions: Collection[str]) -> DataArguments:
    """Return the data arguments without renamings of emotions that these corpora do not have."""
    items = [item for item in data.label_map if canonical_emotion(item.split("=")[0]) in emotions]
    return replace(data, label_map=items)


def _list_sets(sets: Mapping[str, Collection[str]]) -> str:
    return "; ".join(f"{name} has {sorted(labels)}" for name, labels in sets.items())
