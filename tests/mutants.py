"""Swap the entries of every map of `ser_hf.corpora`, pair by pair, and check that a test fails for each swap.

    python tests/mutants.py [module …]

A script to run by hand on Linux or macOS; `tests/test_mutants.py` runs it for one corpus. The mutants are:

- each dict at the module level of a corpus, and each dict in it: every pair of entries with different values, swapped;
- `predictions`: every pair of columns of `predictions.csv`, swapped;
- `protocols`: every pair of published protocols, swapped, and the folds of each protocol, shifted by one.

The tests have to pass without a mutant first. Each mutant is then compiled in memory and tested in a forked process
of its own, so that no file changes. The exit status is 1 if a mutant survives, which means that its tests pass, or if
a control is killed, which is a module that is executed again without a change.
"""

import ast
import gc
import importlib
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from _pytest.runner import runtestprotocol

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"protocols": "ser_hf.data", "predictions": "ser_hf.evaluation"}  # of the others: ser_hf.corpora
TESTS = {  # of the others: tests/corpora/test_<module>.py
    "__init__": "tests/corpora/test_corpora.py",
    "cells": "tests/corpora/test_table.py",
    "columns": "tests/corpora/test_table.py",
    "speech_synthesis": "tests/corpora/test_synthetic.py",
    "table": "tests/corpora/test_table_formats.py",
    "table_rows": "tests/corpora/test_table_formats.py",
    "protocols": "tests/data/test_splits.py",
    "predictions": "tests/evaluation/test_predictions.py",
}
SHIFT = """
def list_folds(utterances, protocol, _list_folds=list_folds, **options):
    folds = _list_folds(utterances, protocol, **options)
    return folds[1:] + folds[:1] if {condition} else folds
"""


class Mutant(NamedTuple):
    """A statement to insert in a module, after the last one that binds `name`."""

    stem: str
    name: str
    statement: str
    title: str


def import_module(stem: str) -> ModuleType:
    """Import a module by the name of its file without `.py`."""
    package = PACKAGES.get(stem, "ser_hf.corpora")
    return importlib.import_module(package if stem == "__init__" else f"{package}.{stem}")


def tests_of(stem: str) -> str:
    """Return the tests of a module, as a path below the root of the repository."""
    return TESTS.get(stem, f"tests/corpora/test_{stem}.py")


def find_mutants(stem: str) -> Iterator[Mutant]:
    """Yield the mutants of a module."""
    module = import_module(stem)
    for name in dict.fromkeys(map(bound_name, parse(module).body)):
        for place, entries in find_maps(name, getattr(module, name, None)):
            for one, other in combinations(entries, 2):
                if entries[one] != entries[other]:
                    first, second = f"{place}[{one!r}]", f"{place}[{other!r}]"
                    swap = f"{first}, {second} = {second}, {first}"
                    yield Mutant(stem, name, swap, f"{stem}: {first} and {second} swapped")
    if stem == "protocols":
        conditions = [f"(utterances[0].corpus, protocol) == {key!r}" for key in module.PROTOCOLS]
        conditions += [f"protocol == {protocol!r}" for protocol in module.GENERIC_PROTOCOLS]
        for condition in conditions:
            statement, title = SHIFT.format(condition=condition), f"{stem}: folds shifted by one where {condition}"
            yield Mutant(stem, "list_folds", statement, title)


def control(stem: str) -> Mutant:
    """Return the mutant that changes nothing and has to survive."""
    return Mutant(stem, "", "pass", f"{stem}: nothing changed")


def parse(module: ModuleType) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(Path(module.__file__).read_text(encoding="utf-8"))


def bound_name(statement: ast.stmt) -> str:
    """Return the name that an assignment or a definition binds; "" for other statements."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", statement)
    return getattr(target, "id", None) or getattr(target, "name", None) or ""


def find_maps(place: str, value: object) -> Iterator[tuple[str, dict]]:
    """Yield the expression and the entries of a dict or a list, and of each dict in a dict."""
    if isinstance(value, list) and place != "__all__":
        yield place, dict(enumerate(value))
    elif isinstance(value, dict):
        yield place, value
        for key, inner in value.items():
            if isinstance(inner, dict):
                yield from find_maps(f"{place}[{key!r}]", inner)


def apply(mutant: Mutant) -> None:
    """Execute a module again with the mutant in it, and replace its names wherever they are imported."""
    module = import_module(mutant.stem)
    tree = parse(module)
    after = max(i for i, statement in enumerate(tree.body, 1) if bound_name(statement) == mutant.name)
    tree.body[after:after] = ast.parse(mutant.statement).body
    before = dict(vars(module))
    names = {id(value): name for name, value in before.items() if not name.startswith("__")}
    exec(compile(tree, module.__file__, "exec"), vars(module))
    for other in list_modules("ser_hf", "tests"):
        for name, value in list(vars(other).items()):
            if id(value) in names and other is not module:
                setattr(other, name, getattr(module, names[id(value)]))


def list_modules(*packages: str) -> list[ModuleType]:
    """Return the imported modules of some packages."""
    return [module for name, module in sys.modules.items() if name.split(".")[0] in packages]


class MutantRunner:
    """Pytest plugin: run the tests as usual, then once for each mutant up to the first failure."""

    def __init__(self, mutants: list[Mutant]):
        self.mutants = mutants
        self.survivors = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Iterator[None]:
        """Test the mutants, as many at a time as there are processors, if all tests pass without them."""
        result = yield
        running = {}
        gc.freeze()  # the garbage collector would copy the memory that forked processes share
        for mutant in [] if session.testsfailed else self.mutants:
            if len(running) == os.cpu_count():
                self._wait(running)
            if process := os.fork():
                running[process] = mutant
                continue
            survives = True
            try:
                survives = self._survives(mutant, session)
            except Exception:
                traceback.print_exc()  # a mutant that cannot be tested counts as a survivor
            finally:
                os._exit(survives)
        while running:
            self._wait(running)
        return result

    def _wait(self, running: dict[int, Mutant]) -> None:
        process, status = os.wait()
        mutant = running.pop(process)
        if status:
            self.survivors.append(mutant)

    def _survives(self, mutant: Mutant, session: pytest.Session) -> bool:
        apply(mutant)
        for module in list_modules("tests"):  # imported again: a test that reads its expectations from a map
            del sys.modules[module.__name__]  # has to read those of the mutant
        path = ROOT / tests_of(mutant.stem)
        folder = next(item.getparent(pytest.Module).parent for item in session.items if item.path == path)
        items = [*session.genitems(pytest.Module.from_parent(folder, path=path))]
        session.config.hook.pytest_collection_modifyitems(session=session, config=session.config, items=items)
        with tempfile.TemporaryDirectory() as scratch:
            session.config._tmp_path_factory._basetemp = Path(scratch)  # so that it is empty, and removed
            for item, following in zip(items, [*items[1:], None], strict=True):
                if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
                    return False
        return True


def main(*stems: str) -> int:
    """Test the mutants of some modules, or of all; return the exit status."""
    start = time.monotonic()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    stems = stems or (*sorted(path.stem for path in Path("ser_hf/corpora").glob("*.py")), *PACKAGES)
    mutants = [mutant for stem in stems for mutant in find_mutants(stem)]
    controls = [control(stem) for stem in dict.fromkeys(mutant.stem for mutant in mutants)]
    runner = MutantRunner([*controls, *mutants])
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = f"{folder}/hypothesis"  # keeps what fails, for the next run
        status = pytest.main(
            [*sorted({tests_of(mutant.stem) for mutant in mutants}), f"--basetemp={folder}/tests", "-q"]
            + ["-o", "addopts=--import-mode=importlib", "-m", "not slow and not gpu and not hub"]
            + ["-p", "no:cacheprovider"],
            plugins=[runner],
        )
    if status:
        return status
    survivors = [mutant for mutant in mutants if mutant in runner.survivors]
    broken = [mutant for mutant in controls if mutant not in runner.survivors]
    for word, found in (("survived", survivors), ("killed", broken)):
        print("".join(f"{word}: {mutant.title}\n" for mutant in found), end="")
    killed, seconds = len(mutants) - len(survivors), time.monotonic() - start
    print(f"{len(mutants)} mutants: {killed} killed, {len(survivors)} survived; {seconds:.0f} seconds")
    return 1 if survivors or broken else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
