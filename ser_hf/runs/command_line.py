"""Arguments read from YAML first and from the command line after it."""

import difflib
import json
import re
from collections.abc import Sequence
from pathlib import Path

import yaml
from transformers import HfArgumentParser

from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.training_arguments import ModelArguments, SerTrainingArguments


class _Parser(HfArgumentParser):
    def error(self, message: str) -> None:
        hint = (
            " A value that begins with - is spelled --key=VALUE."
            if re.search("expected .*one argument", message)
            else ""
        )
        raise ValueError(f"{message} (--help lists all arguments).{hint}")


def parse_recipe(argv: list[str]) -> tuple[DataArguments, ModelArguments, SerTrainingArguments]:
    """Read a recipe: an optional YAML file first, then the command line, which wins.

    Args:
        argv: As `sys.argv[1:]`; its first item may be the YAML file.

    Raises:
        FileNotFoundError: If there is no such YAML file.
        ValueError: If a key is unknown, the nearest being named, or a value is not of its kind.
    """
    return parse_arguments(argv, (DataArguments, ModelArguments, SerTrainingArguments))


def parse_arguments(argv: list[str], kinds: Sequence[type], **parser_options) -> tuple:
    """Read an instance of each dataclass in `kinds`; otherwise as `parse_recipe`.

    Args:
        argv: As `sys.argv[1:]`; its first item may be a YAML file.
        kinds: Argument dataclasses.
        **parser_options: Such as `prog` and `description`, for `--help`.

    Raises:
        FileNotFoundError: If there is no such YAML file.
        ValueError: If a key is unknown, the nearest being named, or a value is not of its kind.
    """
    parser = _Parser(kinds, allow_abbrev=False, **parser_options)
    if argv and argv[0].endswith((".yaml", ".yml")):
        argv = _spell_yaml(Path(argv[0])) + argv[1:]
    known = sorted({option.lstrip("-") for option in parser._option_string_actions})
    for item in argv:
        key = item.removeprefix("--").split("=")[0]
        if item.startswith("--") and key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise ValueError(f"Unknown key '{key}'.{hint} --help lists all arguments.")
    *arguments, rest = parser.parse_args_into_dataclasses(argv, return_remaining_strings=True, look_for_args_file=False)
    if rest:
        raise ValueError(f"Expected --key value after the recipe's YAML file, found {rest}.")
    return tuple(arguments)


def _spell_yaml(path: Path) -> list[str]:
    """Spell a flat YAML file as command line arguments."""
    if not path.is_file():
        raise FileNotFoundError(f"No recipe '{path}': expected a YAML file such as recipes/configs/quickstart.yaml.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"'{path}' is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"'{path}' is not a recipe: expected lines of `key: value`.")
    argv = []
    for key, value in content.items():
        if isinstance(value, list):
            argv += [f"--{key}", *map(str, value)] if value else []
        elif isinstance(value, dict):
            argv.append(f"--{key}={json.dumps(value)}")
        elif value is not None:
            argv.append(f"--{key}={str(value).lower() if isinstance(value, bool) else value}")
    return argv
