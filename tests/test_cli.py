"""The dispatcher: what `ser-hf` does before any command runs."""

import io
import os
import subprocess
import sys
from contextlib import suppress
from importlib import import_module, metadata

import pytest

import ser_hf
from ser_hf.cli import COMMANDS, main, run_main
from ser_hf.commands import publishing, training

LIGHT = """
import sys
from ser_hf.cli import main
code = main(sys.argv[1:])
assert not {"numpy", "torch", "transformers"} & set(sys.modules), "it imports more than it needs"
sys.exit(code)
"""


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"], ["data"], ["data", "--help"]])
def test_without_a_command_all_are_listed(argv, capsys):
    assert main(argv) == 0
    text = capsys.readouterr().out
    assert [command for command in COMMANDS if f"  ser-hf {command} " not in text] == []


@pytest.mark.parametrize(
    ("argv", "nearest"),
    [("predcit a.wav", "predict"), ("data audti", "data audit"), ("audit", "data audit"), ("export-onnx", "export")],
)
def test_an_unknown_command_ends_in_the_nearest_and_exit_code_2(argv, nearest, capsys):
    assert main(argv.split()) == 2
    assert f"Did you mean 'ser-hf {nearest}'?" in capsys.readouterr().err


def test_an_unknown_command_near_none_is_named_below_the_list(capsys):
    assert main(["x"]) == 2
    error = capsys.readouterr().err
    assert error.endswith("\n\nerror: Unknown command 'x'.\n")
    assert "ser-hf doctor" in error


def test_quickstart_is_the_training_of_its_recipe(monkeypatch):
    calls = []
    monkeypatch.setattr(training, "train_command", lambda argv: calls.append(argv))
    assert main(["quickstart", "--num_train_epochs", "1"]) == 0
    assert calls == [["quickstart", "--num_train_epochs", "1"]]


@pytest.mark.parametrize(("argv", "code"), [(["--help"], 0), (["--version"], 0), (["predcit"], 2)])
def test_help_versions_and_unknown_commands_wait_for_no_library(argv, code):
    run = subprocess.run([sys.executable, "-c", LIGHT, *argv], capture_output=True, text=True)
    assert run.returncode == code, run.stderr


def test_the_version_is_one_line_with_those_of_python_torch_and_transformers(capsys):
    assert main(["--version"]) == 0
    torch, transformers = (metadata.version(name) for name in ("torch", "transformers"))
    python = ".".join(map(str, sys.version_info[:3]))
    expected = f"ser-hf {ser_hf.__version__} (Python {python}, torch {torch}, transformers {transformers})\n"
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_a_function_whose_first_line_is_its_help(command):
    module, line = COMMANDS[command]
    run = getattr(import_module(f"ser_hf.commands.{module}"), f"{command.split()[-1].replace('-', '_')}_command")
    assert run.__doc__.splitlines()[0] == line


def test_what_a_command_cannot_do_is_one_line_on_stderr(tmp_path, capsys):
    assert main(["doctor", str(tmp_path)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"error: '{tmp_path}' is not a checkpoint: expected config.json")


def test_ctrl_c_anywhere_is_one_line_and_exit_code_130(monkeypatch, capsys):
    def interrupt(argv):
        raise KeyboardInterrupt

    monkeypatch.setattr(publishing, "doctor_command", interrupt)
    assert main(["doctor", "x"]) == 130
    assert capsys.readouterr().err == "Interrupted.\n"


@pytest.mark.parametrize("command", ["", "recipes", *(f"{name} --help" for name in COMMANDS)])
def test_nothing_that_explains_is_wider_than_the_terminal(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with suppress(SystemExit):
        main(command.split())
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) > 5 and [line for line in shown if len(line) > 80] == []


@pytest.mark.parametrize("run", ["cross-validate", "cross-corpus"])
def test_the_help_of_repeated_runs_names_the_two_kinds(run, capsys):
    assert main([run, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: ser-hf {run} {{finetune,probe}} [RECIPE] --key value …\n")
    assert main([run, "tune"]) == 2
    expected = f"error: Expected finetune or probe as the first argument, found 'tune'. See 'ser-hf {run} --help'.\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
@pytest.mark.parametrize("argv", [["predict", "--help"], ["data", "audit", "--help"], ["--help"]])
def test_help_reaches_terminals_of_few_characters(argv, encoding):
    run = subprocess.run(
        [sys.executable, "-m", "ser_hf.cli", *argv],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": encoding},
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.decode(encoding).strip() and not run.stderr


def test_names_that_a_terminal_lacks_are_spelt(monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert run_main(lambda argv: print("wütend 生气 \udce9"), []) == 0
    terminal.flush()
    assert terminal.buffer.getvalue() == b"w\\xfctend \\u751f\\u6c14 \\udce9\n"


def test_hidden_characters_of_a_name_are_spelt_in_log_lines():
    run = subprocess.run(
        [sys.executable, "-c", "import logging; from ser_hf.cli import start_logging; start_logging(); "
         "logging.getLogger('ser_hf.x').info('2 in %r:\\n%s', 'a', 'sad\\x1b[2J\\udce9')"],
        capture_output=True, check=True,
    )  # fmt: skip
    assert run.stderr == b"2 in 'a':\nsad\\x1b[2J\\udce9\n"


def test_without_a_terminal_there_are_no_bars_and_quiet_leaves_out_messages():
    code = (
        "import logging, sys; from ser_hf.cli import run_main\n"
        "def main(argv):\n"
        "    from tqdm import tqdm\n"
        "    list(tqdm(range(3)))\n"
        "    logging.getLogger('ser_hf').info('a message')\n"
        "    logging.getLogger('ser_hf').warning('a warning')\n"
        "    print(argv)\n"
        "run_main(main, sys.argv[1:])"
    )
    outputs = [
        subprocess.run([sys.executable, "-c", code, "x", *flags], capture_output=True, text=True)
        for flags in ([], ["--quiet"])
    ]
    assert [run.stderr for run in outputs] == ["a message\na warning\n", "a warning\n"]
    assert [run.stdout for run in outputs] == ["['x']\n", "['x']\n"]


def test_quiet_may_precede_the_command(capsys):
    assert main(["--quiet", "recipes"]) == 0
    assert "ravdess/whisper_tiny" in capsys.readouterr().out


def test_options_without_effect_are_refused(tmp_path, capsys):
    assert main(["data", "summary", "--corpus", "synthetic", "--mixup", "0.5"]) == 2
    assert "mixup: expected options that have an effect here." in capsys.readouterr().err
