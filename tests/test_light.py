"""`import ser_hf`, every help and `ser-hf data` do without torch; every public name is where it should be."""

import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import ser_hf
from ser_hf.cli import COMMANDS

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
TORCH = {"torch", "transformers"}
HEAVY = TORCH | {"datasets", "librosa", "matplotlib", "pandas", "scipy.signal", "sklearn"}
HELPS = {
    **{f"ser-hf {command}": ["-m", "ser_hf.cli", *command.split(), "--help"] for command in COMMANDS},
    **{
        " ".join(words): [str(RECIPES / words[0]), *words[1:], "--help"]
        for words in (
            ["adaptation_curve.py"], ["benchmark.py"], ["benchmark_data.py"], ["benchmark_gate.py"],
            ["benchmark_inference.py"], ["benchmark_serving.py"], ["benchmark_training.py"], ["benchmark_ways.py"],
            ["compare.py"], ["cross_corpus.py"], ["cross_corpus.py", "finetune"], ["cross_corpus.py", "probe"],
            ["cross_validate.py"], ["cross_validate.py", "finetune"], ["cross_validate.py", "probe"], ["finetune.py"],
            ["pretrain.py"], ["probe.py"], ["sweep.py"],
        )
    },
}  # fmt: skip
LAZY = ["", ".data", ".evaluation", ".evaluation.figures", ".models", ".publishing", ".serving"]


def imported(*argv):
    """Return the names of the modules that Python imports to run this, and what it prints."""
    run = subprocess.run([sys.executable, "-X", "importtime", *argv], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return {line.rpartition("|")[2].strip() for line in run.stderr.splitlines()}, run.stdout


def test_importing_the_package_is_light():
    names, _ = imported("-c", "import ser_hf; ser_hf.__version__")
    assert "ser_hf" in names
    assert (HEAVY | {"numpy", "yaml"}) & names == set()


@pytest.mark.parametrize("argv", HELPS.values(), ids=HELPS)
def test_help_does_not_wait_for_heavy_libraries(argv):
    names, text = imported(*argv)
    assert HEAVY & names == set()
    assert "--help" in text


def test_every_recipe_is_asked_for_help():
    scripts = {path.name for path in RECIPES.glob("*.py") if "__main__" in path.read_text(encoding="utf-8")}
    assert scripts == {name.split()[0] for name in HELPS if not name.startswith("ser-hf")}


@pytest.mark.parametrize(
    "argv",
    [
        ["audit", "--recipe", "recipe.yaml"],
        ["summary"],
        *(pytest.param([name], marks=pytest.mark.slow) for name in ("audit", "table", "gallery")),
    ],
    ids=" ".join,
)
def test_the_commands_on_data_do_without_torch(argv, toy_ravdess, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("corpus: ravdess\nmodel_type: mel\nweight_decay: 0.1\nseed: 1\noutput_dir: out\n")
    output = tmp_path / {"audit": "audit.json", "table": "table.csv"}.get(argv[0], "figure.png")
    argv = [str(recipe) if item == "recipe.yaml" else item for item in argv]
    corpus = ["--corpus", "ravdess", "--data_root", str(toy_ravdess), "--output", str(output)]
    names, _ = imported("-m", "ser_hf.cli", "data", *argv, *corpus)
    assert TORCH & names == set()
    assert output.stat().st_size > 0


@pytest.mark.parametrize("package", LAZY)
def test_every_public_name_is_there(package):
    package = import_module(f"ser_hf{package}")
    assert package.__all__
    for name in package.__all__:
        assert getattr(package, name).__name__ == name


def test_the_package_names_what_a_notebook_needs():
    assert ser_hf.__all__ == [
        "DataArguments", "EmotionClassifier", "EvaluationArguments", "MatrixArguments", "ModelArguments",
        "PretrainingArguments", "ProbeArguments", "SerTrainingArguments", "SweepArguments", "cross_corpus",
        "cross_validate", "evaluate", "finetune", "list_audio", "load_corpus", "predict", "pretrain", "probe",
        "publish", "sweep", "train",
    ]  # fmt: skip


def test_no_function_hides_a_module_of_its_name():
    for package in LAZY:  # public names are set on their package when they are first used
        package = import_module(f"ser_hf{package}")
        assert all(hasattr(package, name) for name in package.__all__)
    names = [module.name for module in pkgutil.walk_packages(ser_hf.__path__, "ser_hf.")]
    assert len(names) > 100
    for name in names:
        module = import_module(name)
        parent, _, child = name.rpartition(".")
        assert getattr(import_module(parent), child) is module, name
