"""`ser-hf demo` until the page would be served."""

import pytest

from ser_hf.cli import main
from ser_hf.commands import demo as command
from ser_hf.serving import page


@pytest.fixture
def served(monkeypatch):
    """Collect what would be loaded, built and served."""
    calls = {}

    class Page:
        def block_thread(self):
            calls["blocked"] = True

    monkeypatch.setattr(command, "load_chosen_model", lambda options: calls.update(vars(options)))
    monkeypatch.setattr(page, "build_page", lambda classifier, **options: calls.update(built=options) or Page())
    monkeypatch.setattr(page, "serve_page", lambda page, *, host, port: calls.update(port=port) or f"http://{host}")
    return calls


def test_the_page_gets_model_examples_and_port(served, write_audio, tmp_path, capsys):
    example = str(tmp_path / "a.wav")
    write_audio(example)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("# Mine\n\n## Intended use\n\nTests.\n")
    model = ["--model", str(tmp_path / "mine"), "--device", "cpu", "--dtype", "int8", "--backend", "onnx"]
    assert main(["demo", *model, "--examples", example, "--port", "65535", "--speech", "silero"]) == 0
    assert capsys.readouterr().out == "Serving at http://127.0.0.1 (press Ctrl+C to stop)\n"
    assert [served[name] for name in ("model", "device", "dtype", "backend")] == [
        str(tmp_path / "mine"), "cpu", "int8", "onnx",
    ]  # fmt: skip
    assert (served["port"], served["blocked"]) == (65_535, True)
    assert served["built"] == {
        "examples": [example],
        "speech": "silero",
        "about": "- **Test score:** unknown, because the model comes without results of ser_hf.\n"
        "- **Intended use:** Tests.",
        "card": "# Mine\n\n## Intended use\n\nTests.",
    }


def test_examples_that_nobody_could_hear_are_refused_before_the_model_is_loaded(served, write_audio, tmp_path, capsys):
    good, text = tmp_path / "a.wav", tmp_path / "text.wav"
    write_audio(good)
    text.write_text("not audio")
    for path, message in ((tmp_path / "gone.wav", "No such file"), (text, f"Cannot read '{text}'")):
        assert main(["demo", "--model", "mine", "--examples", str(good), str(path)]) == 2
        assert message in capsys.readouterr().err
    assert served == {}


@pytest.mark.parametrize("port", ["0", "-1", "65536", "70000"])
def test_a_port_that_cannot_be_is_refused(served, port, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["demo", "--model", "mine", f"--port={port}"])
    assert "expected a port from 1 to 65535" in capsys.readouterr().err
    assert served == {}
