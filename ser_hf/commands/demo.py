"""Define `ser-hf demo`, which serves a web page."""

import argparse

from ser_hf.commands.model_options import add_model_options, add_speech_option, load_chosen_model
from ser_hf.escaping import show
from ser_hf.models.location import check_location


def demo_command(argv: list[str]) -> int:
    """Serve a page to upload or record speech and show its emotions, until Ctrl+C."""
    parser = argparse.ArgumentParser(prog="ser-hf demo", description=demo_command.__doc__, allow_abbrev=False)
    add_model_options(parser)
    add_speech_option(parser)
    parser.add_argument("--examples", nargs="+", default=[], help="Example recordings on the page.")
    parser.add_argument(
        "--host", default="127.0.0.1", help="Address to listen at; 0.0.0.0 accepts connections from other machines."
    )
    parser.add_argument("--port", type=_port, help="Port to listen at; by default the first free one from 7860.")
    options = parser.parse_args(argv)
    from ser_hf.data import audio_duration

    for path in options.examples:
        audio_duration(path)  # raises an error if the file is unreadable
    check_location(options.model)
    from ser_hf.publishing.model_facts import describe_model, read_card
    from ser_hf.serving.page import build_page, serve_page

    page = build_page(
        load_chosen_model(options),
        examples=options.examples,
        speech=options.speech,
        about=describe_model(options.model),
        card=read_card(options.model),
    )
    show(f"Serving at {serve_page(page, host=options.host, port=options.port)} (press Ctrl+C to stop)", flush=True)
    page.block_thread()
    return 0


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65_535:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, found {text}")
    return port
