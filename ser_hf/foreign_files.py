"""Read files of a folder that somebody else may have made: regular files inside the folder only, with size limits."""

import json
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

import yaml

LARGEST_TEXT = 32_000_000  # bytes
LARGEST_JSON = 8_000_000  # bytes; parsed, it takes at most 25 times as much memory
LARGEST_YAML = 256_000  # bytes; the parser reads about 50 kB per second
MOST_JSON, MOST_YAML = 1_000_000, 100_000  # values; an alias in YAML counts as a copy of its values
DEEPEST = 50  # levels of values in values


def check_file(path: str | os.PathLike, folder: str | os.PathLike | None = None) -> Path:
    """Check that a path is a regular file inside its folder, and return it.

    Args:
        path: The file.
        folder: The folder that it must be in; None for its own. Files in a snapshot of the Hub's cache may be links to
            the blobs of the same repository.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is a pipe, a device or a socket, or a link to a file outside the folder.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"There is no file '{path}'.") from error
    except OSError as error:  # a link to itself, or a name that is too long
        raise ValueError(f"'{path}' cannot be read: expected a regular file, found {error.strerror}.") from error
    home, target = _home(Path(folder or path.parent)), Path(os.path.realpath(path))
    if not target.is_relative_to(home):
        raise ValueError(f"'{path}' is a link to '{target}', outside of its folder, and is not read: copy the file.")
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, a device or a socket"
        raise ValueError(f"'{path}' is {kind} and is not read: expected a regular file.")
    return path


def check_files(folder: str | os.PathLike, pattern: str = "*") -> None:
    """Check that the files of a folder that match a pattern, except for sub-folders, pass `check_file`."""
    for path in sorted(Path(folder).glob(pattern)):
        if not path.is_dir():
            check_file(path, folder)


def read_text(
    path: str | os.PathLike,
    folder: str | os.PathLike | None = None,
    *,
    largest: int = LARGEST_TEXT,
    errors: str = "strict",
) -> str:
    """Return the content of a text file; a byte order mark is left out.

    Args:
        path: The file.
        folder: The folder that it must be in, see `check_file`.
        largest: Largest accepted size in bytes.
        errors: What happens to bytes that are not UTF-8, as in `bytes.decode`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no regular file in its folder, too large, or not in UTF-8.
    """
    with check_file(path, folder).open("rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        found = os.path.getsize(path) / 1e6
        raise ValueError(f"'{path}' has {found:.1f} MB: expected at most {largest / 1e6:g} MB.")
    try:
        return content.decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        raise ValueError(f"'{path}' is damaged: expected text in UTF-8 ({error}). Save it in UTF-8.") from error


def read_json(path: str | os.PathLike, folder: str | os.PathLike | None = None) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: For the reasons of `read_text` and `parse_json`, or if it is another JSON value than an object.
    """
    text = read_text(path, folder, largest=LARGEST_JSON)
    try:
        return _require_mapping(parse_json(text))
    except ValueError as error:
        raise ValueError(f"'{path}' is damaged: expected a JSON object, found {error}.") from error


def read_yaml(path: str | os.PathLike, folder: str | os.PathLike | None = None) -> dict[str, Any]:
    """Return the keys and values in a YAML file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: For the reasons of `read_text` and `parse_yaml`, or if it has no keys or keys that are not text.
    """
    text = read_text(path, folder, largest=LARGEST_YAML)
    try:
        return _require_mapping(parse_yaml(text))
    except ValueError as error:
        raise ValueError(f"'{path}' is damaged: expected YAML with lines of `key: value`, found {error}.") from error


def parse_json(text: str) -> Any:
    """Return the value in a JSON text.

    Raises:
        ValueError: If it is not JSON, or has too many characters, values or levels; the message is what was found.
    """
    _check_length(text, LARGEST_JSON)
    try:
        return _check_values(json.loads(text, parse_constant=_refuse_constant), _list_values, MOST_JSON)
    except RecursionError as error:
        raise ValueError(f"more than {DEEPEST} levels") from error


def parse_yaml(text: str) -> Any:
    """Return the value in a YAML text of plain types; None if it is empty.

    Raises:
        ValueError: If it is not YAML, or has too many characters, values or levels; the message is what was found.

    Examples:
        >>> parse_yaml("corpus: ravdess")
        {'corpus': 'ravdess'}
    """
    _check_length(text, LARGEST_YAML)
    try:
        loader = yaml.SafeLoader(text)
        # Aliases and merge keys multiply values, so the values are counted before they are built.
        node = loader.get_single_node()
        return node and loader.construct_document(_check_values(node, _list_nodes, MOST_YAML))
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ValueError(f"{error.problem}{line}") from error
    except RecursionError as error:
        raise ValueError(f"more than {DEEPEST} levels") from error
    except (yaml.YAMLError, TypeError, AttributeError, LookupError) as error:  # of values such as `!!bool 3`
        raise ValueError(next(iter(str(error).splitlines()), "a value of another type")) from error


def _home(folder: Path) -> Path:
    """Return the folder itself, or the repository of the Hub's cache if it is a snapshot in one."""
    home = Path(os.path.realpath(folder))
    for parent in home.parents:
        if parent.name == "snapshots" and parent.parent.name.startswith("models--"):
            return parent.parent
    return home


def _check_values(content: Any, children: Callable[[Any], Iterable], most: int) -> Any:
    """Return a JSON or YAML value if it consists of at most `most` values in at most `DEEPEST` levels."""
    waiting, values = [(content, 0)], 1
    while waiting:
        value, depth = waiting.pop()
        found = [(child, depth + 1) for child in children(value)]
        values += len(found)
        if values > most:
            raise ValueError(f"more than {most} values")
        if found and depth >= DEEPEST:
            raise ValueError(f"more than {DEEPEST} levels")
        waiting += found
    return content


def _list_values(value: object) -> Iterable:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _list_nodes(node: yaml.Node) -> Iterable:
    if isinstance(node, yaml.MappingNode):
        return (item for pair in node.value for item in pair)
    return node.value if isinstance(node, yaml.SequenceNode) else ()


def _check_length(text: str, largest: int) -> None:
    if len(text) > largest:
        raise ValueError(f"{len(text)} characters, more than {largest}")


def _require_mapping(content: object) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ValueError("nothing" if content is None else f"a {type(content).__name__}")
    if others := [key for key in content if not isinstance(key, str)]:
        raise ValueError(f"the key {others[0]!r}, which is not text")
    return content


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is not a number")
