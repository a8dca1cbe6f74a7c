"""`ser-hf demo`: the live page."""

import argparse

from ser_hf.serving.classifier import EmotionClassifier


def demo(argv: list[str]) -> int:
    """Serve a page where people upload or record speech and read its emotions, until Ctrl+C."""
    parser = argparse.ArgumentParser(prog="ser-hf demo", description=demo.__doc__, allow_abbrev=False)
    parser.add_argument("--model", required=True, help="Checkpoint: a folder or an id on the Hub.")
    parser.add_argument("--examples", nargs="+", default=[], help="Recordings to choose from.")
    parser.add_argument("--host", default="127.0.0.1", help="Address to listen at; 0.0.0.0 lets other machines in.")
    parser.add_argument("--port", type=int, help="Port to listen at; the first free one from 7860 on if left out.")
    options = parser.parse_args(argv)
    from ser_hf.serving.page import build_page, serve_page

    page = build_page(EmotionClassifier.from_pretrained(options.model), examples=options.examples)
    print(f"Serving at {serve_page(page, host=options.host, port=options.port)} (Ctrl+C ends it)", flush=True)
    page.block_thread()
    return 0
