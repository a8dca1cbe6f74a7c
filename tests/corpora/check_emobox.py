"""Compare the parsers with EmoBox's file lists; a script to run by hand, not a test.

    python tests/corpora/check_emobox.py EmoBox/data [emobox corpus …]

Every path that EmoBox lists is laid out as an empty file and read with our parser; printed are the paths listed, those
that parse to the listed emotion, and the others by name. Of the corpora that keep labels in tables, which EmoBox does
not have, only the names are compared with the parser's grammar.

Source: the folder `data` of https://github.com/emo-box/EmoBox (Ma et al. 2024, https://arxiv.org/abs/2406.07162)
"""

import importlib
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ser_hf.corpora import canonical_emotion
from ser_hf.corpora.name_grammar import match_names

OURS = {
    "aesdd": "aesdd", "cafe": "cafe", "cremad": "crema_d", "emodb": "emodb", "emovdb": "emov_db", "emovo": "emovo",
    "esd": "esd", "jlcorpus": "jl_corpus", "ravdess": "ravdess", "savee": "savee", "shemo": "shemo",
    "subesco": "subesco", "tess": "tess", "turevdb": "turev_db", "urdu": "urdu",
}  # fmt: skip
TABLED = {"iemocap": "iemocap", "meld": "meld", "msppodcast": "msp_podcast"}  # labels in tables, not in names


def listed_emotions(folder: Path) -> dict[str, str]:
    """Return path below the corpus' root -> canonical emotion, from the corpus' list or else its folds'."""
    names = json.loads(next(folder.glob("label_*.json")).read_text(encoding="utf-8"))
    whole = folder / f"{folder.name}.jsonl"
    listed = {}
    for file in [whole] if whole.is_file() else folder.rglob("*.jsonl"):
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            # A path is downloads/<corpus>/<path below the root>.
            listed[row["wav"].split("/", 2)[2]] = canonical_emotion(names.get(row["emo"], row["emo"]))
    return listed


def parsed_emotions(name: str, paths: list[str]) -> dict[str, str]:
    """Return path below the root -> emotion, as the parser `name` reads these paths."""
    parser = getattr(importlib.import_module(f"ser_hf.corpora.{name}"), name)
    with lay_out(paths) as root:
        return {Path(item.path).relative_to(root).as_posix(): item.emotion for item in parser(root)}


def named_paths(name: str, paths: list[str]) -> set[str]:
    """Return the paths below the root that fit the grammar of the parser `name`."""
    grammar = importlib.import_module(f"ser_hf.corpora.{name}").FILE_NAME
    with lay_out(paths) as root:
        files = match_names(root, grammar, corpus=name, example=paths[0], name=lambda match: match.string)
        return {Path(path).relative_to(root).as_posix() for path, match in files.values() if all(match.groups())}


@contextmanager
def lay_out(paths: list[str]) -> Iterator[str]:
    """Write empty files at these paths below a folder for a while."""
    with tempfile.TemporaryDirectory() as root:
        for path in paths:
            file = Path(root, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        yield root


def main(data: str, *corpora: str) -> None:
    for emobox_name in corpora or sorted({*OURS, *TABLED}):
        listed = listed_emotions(Path(data, emobox_name))
        if emobox_name in TABLED:
            named = named_paths(TABLED[emobox_name], list(listed))
            print(f"{emobox_name}: {len(listed)} listed, {len(named)} bear names of the grammar")
            for path in listed.keys() - named:
                print(f"  {path}: does not fit")
            continue
        parsed = parsed_emotions(OURS[emobox_name], list(listed))
        others = {path: emotion for path, emotion in listed.items() if parsed.get(path) != emotion}
        print(f"{emobox_name}: {len(listed)} listed, {len(listed) - len(others)} match")
        for path, emotion in others.items():
            print(f"  {path}: listed '{emotion}', parsed '{parsed.get(path)}'")


if __name__ == "__main__":
    main(*sys.argv[1:])
