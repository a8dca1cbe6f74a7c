"""What stands outside the code: declared dependencies, the version in each place, the targets of the Makefile."""

import ast
import re
import subprocess
import sys
from configparser import ConfigParser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

import ser_hf

ROOT = Path(__file__).resolve().parents[1]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
OPTIONAL = {"torchcodec"}  # the benchmark compares with it where it is installed


def imported_modules(folder):
    """Return third-party module -> a file of the folder that imports it."""
    found = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                names = [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            found |= {name.split(".")[0]: str(path.relative_to(ROOT)) for name in names}
    own = {"ser_hf", *(path.stem for path in (ROOT / "recipes").glob("*.py"))}
    return {name: path for name, path in found.items() if name not in own | sys.stdlib_module_names}


def canonical(requirement):
    """Return a distribution's name without version, in lower case and with hyphens. Source: PEP 503."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def declared():
    """Return the distributions of install_requires, and of all extras but dev."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = [value for extra, value in config["options.extras_require"].items() if extra != "dev"]
    return {canonical(line) for text in [config["options"]["install_requires"], *extras] for line in text.split()}


@pytest.mark.parametrize("folder", ["ser_hf", "recipes"])
def test_every_imported_library_is_declared(folder):
    distributions = packages_distributions()
    undeclared = {
        module: path
        for module, path in imported_modules(folder).items()
        if module not in OPTIONAL and not declared() & {canonical(name) for name in distributions.get(module, [module])}
    }
    assert undeclared == {}


def test_imports_are_found_wherever_they_stand():
    found = imported_modules("ser_hf")
    assert {"torch", "yaml", "gradio", "onnx", "sounddevice"} <= found.keys()
    assert not {"os", "ser_hf"} & found.keys()


def test_the_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == ser_hf.__version__
    assert citation["authors"] == [{"name": "the ser_hf authors"}]


def test_actions_are_pinned_by_commit():
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml"))
    actions = re.findall(r"uses: *(.*)", text)
    assert actions
    assert [action for action in actions if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)] == []


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.name)
def test_issue_forms_are_valid_yaml_with_unique_ids(form):
    content = yaml.safe_load(form.read_text(encoding="utf-8"))
    ids = [field["id"] for field in content.get("body", []) if field["type"] != "markdown"]
    assert len(ids) == len(set(ids))
    assert form.name == "config.yml" or {"name", "description", "body"} <= content.keys()


def test_make_help_lists_every_target_in_a_line():
    (targets,) = re.findall(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    output = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [line.split()[1] for line in output.splitlines()] == targets.split()


def test_the_typed_marker_and_the_stubs_of_lazy_packages_are_packaged():
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    assert (ROOT / "ser_hf" / "py.typed").exists()
    assert config["options.package_data"]["ser_hf"].startswith("py.typed, ")
    assert config["options.package_data"]["*"] == "*.pyi"
