"""Fill dataclasses of arguments from a YAML file and the command line.

torch and transformers are imported only for training arguments, and not for ``--help``.
"""

import argparse
import difflib
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

from ser_hf.foreign_files import read_yaml
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.model_arguments import ModelArguments
from ser_hf.runs.recipe_files import find_recipe
from ser_hf.runs.training_options import TrainingOptions
from ser_hf.terminal import ParagraphFormatter

if TYPE_CHECKING:  # imports torch
    from ser_hf.runs.training_arguments import SerTrainingArguments

HELP_ALL = "--help_all"
# Options that --help explains; it lists the names of the others. A command's own options are always explained.
FIRST = (
    "corpus", "data_root", "speaker_pattern", "protocol", "fold", "model_name_or_path", "head_init", "freeze",
    "output_dir", "num_train_epochs", "learning_rate", "per_device_train_batch_size",
)  # fmt: skip
EPILOG = """\
RECIPE is a YAML file, or a name that 'ser-hf recipes' lists. Its keys are the options without --; the command line
overrides them. The value none resets an optional key of the recipe, as in --protocol none.
"""
TRAINING_EPILOG = f"""\
All keys of transformers.TrainingArguments are accepted too, for example seed, bf16, weight_decay and push_to_hub;
{HELP_ALL} explains them.
"""
SHORTENED = (DataArguments, ModelArguments, TrainingOptions)  # dataclasses of which --help explains `FIRST` only
NONE_IS_A_VALUE = ("report_to",)  # options for which transformers gives the text "none" a meaning
TRUST = "trust_remote_code"
BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
NEAR = 0.9  # lowest similarity in `difflib` of a misspelt YAML key to a known key; seed and speed have 0.89


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        hint = (
            " Write a value that begins with - as --key=VALUE." if re.search("expected .*one argument", message) else ""
        )
        raise ValueError(f"{message} (--help lists all arguments).{hint}")


def take_flag(argv: list[str], flag: str) -> tuple[bool, list[str]]:
    """Return whether a flag without a value is among the arguments, and the other arguments."""
    return flag in argv, [item for item in argv if item != flag]


def refuse_options(argv: list[str], unused: Sequence[str], advice: str) -> None:
    """Raise ValueError if an option on the command line would have no effect; in a YAML file it is ignored."""
    given = {item.removeprefix("--").split("=")[0].replace("-", "_") for item in argv if item.startswith("--")}
    if found := sorted(given.intersection(unused)):
        raise ValueError(f"{', '.join(found)}: expected options that have an effect here. {advice}")


def parse_recipe(argv: list[str], **parser_options) -> "tuple[DataArguments, ModelArguments, SerTrainingArguments]":
    """Read the arguments of `finetune`, see `parse_arguments`."""
    return parse_arguments(argv, (DataArguments, ModelArguments, TrainingOptions), **parser_options)


def parse_arguments(
    argv: list[str], kinds: Sequence[type], *, partial: bool = False, hidden: Sequence[str] = (), **parser_options
) -> tuple:
    """Return an instance of each dataclass, with values from an optional YAML file, which the command line overrides.

    ``--help`` explains the options of `FIRST` and lists the others; ``--help_all`` explains all. Both end the process.

    Args:
        argv: Arguments as in `sys.argv[1:]`; the first item may be the YAML file, or the name of a recipe that comes
            with ser_hf.
        kinds: Argument dataclasses; for `TrainingOptions`, an instance of `SerTrainingArguments` is returned, whose
            other keys are printed by ``--help_all`` only.
        partial: Whether to ignore keys of the YAML file that no dataclass has, to read a part of a recipe.
        hidden: Keys that --help does not list, because the caller refuses them.
        **parser_options: Options of the argparse parser, such as `prog` and `description`.

    Raises:
        FileNotFoundError: If the YAML file does not exist.
        ValueError: If a key is unknown (the message names the most similar key), or a value has the wrong type.
    """
    if {"-h", "--help"}.intersection(argv):
        _build_parser(kinds, hidden, short=True, **parser_options).print_help()
        sys.exit()
    kinds = [_complete(kind) for kind in kinds]
    parser = _build_parser(kinds, hidden, **parser_options)
    known = {option.removeprefix("--") for option in parser._option_string_actions}
    if argv and not argv[0].startswith("-"):
        path = Path(argv[0])
        recipe = _read_yaml(path if path.suffix in (".yaml", ".yml") else find_recipe(argv[0]))
        if partial:
            recipe = {key: value for key, value in recipe.items() if difflib.get_close_matches(key, known, 1, NEAR)}
        argv = spell_recipe(recipe) + argv[1:]
    values, rest = parser.parse_known_args([_check_key(item, known) for item in argv])
    if rest:
        raise ValueError(f"Expected --key value after the recipe's YAML file, found {rest}.")
    found = {name: parser.get_default(name) if value == [None] else value for name, value in vars(values).items()}
    return tuple(kind(**{item.name: found[item.name] for item in fields(kind) if item.init}) for kind in kinds)


def _complete(kind: type) -> type:
    """Return the class to instantiate: for `TrainingOptions`, the subclass that imports torch."""
    if kind is not TrainingOptions:
        return kind
    from ser_hf.runs.training_arguments import SerTrainingArguments

    return SerTrainingArguments


def _build_parser(
    kinds: Sequence[type], hidden: Sequence[str] = (), *, short: bool = False, **parser_options
) -> argparse.ArgumentParser:
    """Return a parser with one group of options per dataclass; if `short`, its help explains those of `FIRST` only."""
    parser = _Parser(usage="%(prog)s [RECIPE] --key value …", allow_abbrev=False, formatter_class=ParagraphFormatter,
                     **parser_options)  # fmt: skip
    for kind in kinds:
        items = [item for item in fields(kind) if item.init]
        unexplained = [item.name for item in items if short and kind in SHORTENED and item.name not in FIRST]
        title = (kind.__doc__ or "").partition("\n")[0].rstrip(".").removeprefix("Define ")
        others = ", ".join(name for name in unexplained if name not in hidden)
        group = parser.add_argument_group(
            title[:1].upper() + title[1:], f"Also, see {HELP_ALL}: {others}." if others else None
        )
        hints = get_type_hints(kind)
        for item in items:
            described = _describe_field(item)
            if item.name in unexplained or item.name in hidden:
                described["help"] = argparse.SUPPRESS
            parsed = _spell_type(hints[item.name])
            if described.get("default", "") in (None, []) and item.name not in NONE_IS_A_VALUE:
                parsed = _allow_none(parsed)
            group.add_argument(f"--{item.name}", **described, **parsed)
    parser.add_argument(HELP_ALL, action="help", help="explain all options")
    parser.epilog = EPILOG + (TRAINING_EPILOG if TrainingOptions in kinds else "") + (parser.epilog or "")
    return parser


def _describe_field(item: Field) -> dict[str, Any]:
    """Return default and help of a field as options of `add_argument`."""
    text = item.metadata.get("help", "see transformers.TrainingArguments")
    if item.default is MISSING and item.default_factory is MISSING:
        return {"required": True, "help": f"{text} (required)"}
    default = item.default if item.default_factory is MISSING else item.default_factory()
    if default is None or default in ("", []):
        return {"default": default, "help": text}
    shown = " ".join(map(str, default)) if isinstance(default, list) else _spell_value(default)
    return {"default": default, "help": f"{text} (default: {shown})"}


def _spell_type(hint: Any) -> dict[str, Any]:
    """Return a type as options of `add_argument`; of a union, the member that is easiest to write as text is used."""
    kinds = set(get_args(hint)) - {NoneType} if get_origin(hint) in (Union, UnionType) else {hint}
    if enums := [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Enum)]:
        return {"choices": [member.value for member in enums[0]]}
    if str in kinds:
        return {"type": str, "metavar": "TEXT"}
    (kind,) = kinds
    origin = get_origin(kind)
    if origin is Literal:
        return {"choices": get_args(kind)}
    if origin is list:
        return _spell_type(get_args(kind)[0]) | {"nargs": "+"}
    if origin is dict:
        return {"type": json.loads, "metavar": "JSON"}
    if kind is bool:
        return {"type": _parse_boolean, "nargs": "?", "const": True, "metavar": "true|false"}
    return {"type": kind, "metavar": kind.__name__.upper()}


def _allow_none(kind: dict[str, Any]) -> dict[str, Any]:
    """Return options of `add_argument` for an optional field: the text "none" is read as None, unless it is a value."""
    parse, choices = kind.get("type", str), kind.get("choices", ())
    if "none" in choices:
        return kind

    def parse_optional(text: str) -> Any:
        return None if text.lower() == "none" else parse(text)

    parse_optional.__name__ = parse.__name__  # argparse names it in errors
    named = {"choices": [*choices, None], "metavar": "{" + ",".join([*choices, "none"]) + "}"} if choices else {}
    return kind | named | {"type": parse_optional}


def _parse_boolean(text: str) -> bool:
    if text.lower() not in BOOLEANS:
        raise argparse.ArgumentTypeError(f"expected true or false, found '{text}'")
    return BOOLEANS[text.lower()]


def _check_key(item: str, known: set[str]) -> str:
    """Return an item of the command line with underscores instead of hyphens in its key.

    Raises:
        ValueError: If the key is unknown.
    """
    if not item.startswith("--"):
        return item
    key, equals, value = item.removeprefix("--").partition("=")
    key = key.replace("-", "_")
    if key not in known:
        near = difflib.get_close_matches(key, sorted(known), n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"Unknown key '{key}'.{hint} --help lists all arguments.")
    return f"--{key}{equals}{value}"


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"No recipe '{path}': expected a YAML file such as recipes/configs/quickstart.yaml.")
    content = read_yaml(path)
    if content.get(TRUST):
        raise ValueError(
            f"'{path}': {TRUST}: expected on the command line, so that no recipe of somebody else runs code. Read that "
            f"code, delete the line and pass --{TRUST}."
        )
    return content


def spell_recipe(recipe: dict[str, Any]) -> list[str]:
    """Return a recipe as command line arguments."""
    argv = []
    for key, value in recipe.items():
        if isinstance(value, list | tuple):
            argv += [f"--{key}", *map(str, value)] if value else []
        elif value is not None:
            argv.append(f"--{key}={_spell_value(value)}")
    return argv


def _spell_value(value: object) -> str:
    """Return a value as text for the command line."""
    return json.dumps(value) if isinstance(value, bool | dict) else str(value)
