"""`ser-hf serve` until requests would be answered."""

import os
import socket

import pytest

from ser_hf.cli import main
from ser_hf.commands import serve as command
from ser_hf.serving.service import application, server
from ser_hf.serving.service.limits import ServiceLimits

TOKEN = "0123456789abcdef"


@pytest.fixture
def model(tmp_path):
    """A folder with a card of another tool."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("# Mine\n\n## Limits\n\nFor adults.\n\n## Licence\n\nMIT\n")
    return str(tmp_path / "mine")


@pytest.fixture
def served(monkeypatch):
    """Collect what would be loaded, built and served."""
    calls = {}
    monkeypatch.delenv("SER_HF_TOKEN", raising=False)
    monkeypatch.setattr(command, "load_chosen_model", lambda options: calls.update(model=options.model))
    monkeypatch.setattr(application, "build_service", lambda classifier, **options: calls.update(options))
    monkeypatch.setattr(server, "run_service", lambda app, listening: calls.update(socket=listening))
    return calls


def test_the_service_gets_model_limits_and_notice(served, model, capsys):
    options = ["--max_megabytes", "0.5", "--max_requests", "3", "--batch_size", "2", "--host_names", "a.example"]
    assert main(["serve", "--model", model, "--port", "0", *options]) == 0
    assert served["limits"] == ServiceLimits(max_megabytes=0.5, max_requests=3)
    assert (served["model"], served["batch_size"], served["host_names"]) == (model, 2, ["a.example"])
    assert (served["host"], served["token"]) == ("127.0.0.1", None)
    assert "## Limits\n\nFor adults." in served["notice"]
    assert "Regulation (EU) 2024/1689" in served["notice"]
    assert "Licence" not in served["notice"]
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("Serving at http://127.0.0.1:")
    assert first.endswith(" for this machine only, without a token (press Ctrl+C to stop)")
    assert last == "Stopped."


def test_a_service_that_everybody_can_use_is_warned_about(served, model, capsys, caplog):
    assert main(["serve", "--model", model, "--port", "0", "--host", "0.0.0.0"]) == 0
    assert "for other machines too, without a token" in capsys.readouterr().out
    assert "Everybody who can reach this machine can use the service: no token is set." in caplog.text


def test_the_token_comes_from_the_environment_or_a_file_and_is_not_shown(
    served, model, monkeypatch, tmp_path, capsys, caplog
):
    monkeypatch.setenv("SER_HF_TOKEN", TOKEN)
    assert main(["serve", "--model", model, "--port", "0", "--host", "0.0.0.0"]) == 0
    assert served["token"] == TOKEN
    (tmp_path / "token").write_text(f"{TOKEN[::-1]}\n")
    assert main(["serve", "--model", model, "--port", "0", "--token_file", str(tmp_path / "token")]) == 0
    assert served["token"] == TOKEN[::-1]
    output = capsys.readouterr()
    assert "with its token" in output.out
    assert TOKEN not in output.out + output.err + caplog.text
    assert "Everybody" not in caplog.text


@pytest.mark.parametrize("token", ["", "short", "0123456789 abcdef", os.fsdecode("0123456789abcdeä".encode())])
def test_a_token_that_is_none_is_refused_without_being_shown(served, model, monkeypatch, token, capsys):
    monkeypatch.setenv("SER_HF_TOKEN", token)
    assert main(["serve", "--model", model]) == 2
    message = capsys.readouterr().err
    assert "token: expected at least 16 ASCII characters without spaces" in message
    assert not token or token not in message
    assert served == {}


def test_a_port_in_use_is_one_sentence(served, model, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert main(["serve", "--model", model, "--port", str(other.getsockname()[1])]) == 2
    assert "Address already in use" in capsys.readouterr().err
    assert served == {}


@pytest.mark.parametrize(
    "option",
    [
        "--port=65536", "--max_seconds=0", "--max_requests=-1", "--max_streams=1.5", "--max_megabytes=inf",
        "--idle_timeout=nan",
    ],
)  # fmt: skip
def test_values_out_of_range_are_refused(served, option, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["serve", "--model", "mine", option])
    assert option[2:].partition("=")[0] in capsys.readouterr().err
    assert served == {}


def test_a_model_without_a_card_has_the_legal_notice(served, tmp_path):
    (tmp_path / "bare").mkdir()
    assert main(["serve", "--model", str(tmp_path / "bare"), "--port", "0"]) == 0
    assert served["notice"].startswith("## Out of scope")
    assert "The model has no card that describes them" in served["notice"]
