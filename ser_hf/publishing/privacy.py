"""Check that the text files of a checkpoint contain no paths of the local machine and no access tokens."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ser_hf.foreign_files import parse_json, parse_yaml, read_text
from ser_hf.publishing.checks import Check
from ser_hf.runs.file_names import ADAPTER
from ser_hf.runs.weights import weights_of

TEXTS = (".json", ".md", ".py", ".txt", ".yaml", ".yml")
ROOTS = "home|Users|root|work|workspace|tmp|mnt|media|data|scratch|opt|srv|var|nfs|gpfs|lustre|Volumes|content|kaggle"
PATH = re.compile(
    rf"(?:(?<![\w./~-])|(?<=\\n))/(?:{ROOTS})\b[\w./-]*"
    r"|file://[^\s\"']*|\b[A-Za-z]:[\\/]+[\w.]{2,}[\w.\\/-]*"
)
# A value of a JSON or YAML file that is a path as a whole.
WHOLE_PATH = re.compile(r"(?:~[\w-]*|/[\w.-]+)/[^\s].*|[A-Za-z]:[\\/].*|\\\\\w.*")
TOKEN = re.compile(r"hf_[A-Za-z0-9]{20,}|hf_oauth_[\w.-]{20,}|gh[oprsu]_[A-Za-z0-9]{20,}|github_pat_\w{20,}")
PARSERS: dict[str, Callable[[str], Any]] = {".json": parse_json, ".yaml": parse_yaml, ".yml": parse_yaml}
HEADER_LIMIT = 100_000_000  # bytes. Source: the format of safetensors


def check_paths(folder: Path) -> Check:
    """Check that text files and the metadata of weights contain no path of this machine."""
    hits = [f"{name}: {match.group()}" for name, text in _read_published_texts(folder) if (match := PATH.search(text))]
    hits += [f"{name}: {value}" for name, value in _read_values(folder) if WHOLE_PATH.fullmatch(value)]
    hits = list(dict.fromkeys(hits))
    remedy = "Replace it by a Hub id or a relative path: it exposes your machine and is useless on others."
    return Check("absolute paths", not hits, "; ".join(hits) or "none", remedy)


def check_tokens(folder: Path) -> Check:
    """Check that text files and the metadata of weights contain no access token; a token is not quoted."""
    hits = [name for name, text in _read_published_texts(folder) if TOKEN.search(text)]
    found = f"in {', '.join(hits)}" if hits else "none"
    return Check("tokens", not hits, found, "Delete it, and revoke it at huggingface.co/settings/tokens.")


def _text_files(folder: Path) -> list[Path]:
    folders = (folder, folder / "onnx", folder / ADAPTER)
    return sorted(path for each in folders for path in each.glob("*") if path.suffix in TEXTS and not path.is_dir())


def _read_values(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the string values of JSON and YAML files at any depth, each with the name of its file."""
    for path in _text_files(folder):
        if parse := PARSERS.get(path.suffix):
            with suppress(ValueError):
                yield from ((path.name, value) for value in _strings(parse(read_text(path, folder))))


def _strings(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict | list):
        for value in content.values() if isinstance(content, dict) else content:
            yield from _strings(value)


def _read_published_texts(folder: Path) -> Iterator[tuple[str, str]]:
    for path in _text_files(folder):
        yield path.name, read_text(path, folder, errors="replace")
    for path in weights_of(folder):
        with path.open("rb") as file:  # read the header with the metadata, even if the file is damaged
            size = int.from_bytes(file.read(8), "little")
            yield path.name, file.read(min(size, HEADER_LIMIT)).decode(errors="replace")
