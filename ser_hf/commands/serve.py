"""Define `ser-hf serve`, which serves a model to other programs over HTTP and WebSockets."""

import argparse
import dataclasses
import ipaddress
import logging
import math
import os
from pathlib import Path

from ser_hf.commands.model_options import add_model_options, load_chosen_model
from ser_hf.escaping import show
from ser_hf.models.location import check_location
from ser_hf.serving.service.limits import ServiceLimits
from ser_hf.terminal import ParagraphFormatter

TOKEN = "SER_HF_TOKEN"  # environment variable
HELP = {  # of the fields of ServiceLimits
    "max_megabytes": "Largest request",
    "max_seconds": "Longest recording",
    "max_requests": "Most requests in progress; others get the status 429",
    "max_streams": "Most WebSockets; others get the status 429",
    "upload_timeout": "Seconds within which a request must have arrived",
    "idle_timeout": "Seconds without samples after which a WebSocket is closed",
}
EPILOG = f"""
The service listens to this machine only, unless --host says otherwise. With the environment variable {TOKEN}, or
--token_file, requests must have the header 'Authorization: Bearer TOKEN'. Try it:

  curl -F file=@utterance.wav http://127.0.0.1:8000/predict
"""
logger = logging.getLogger(__name__)


def serve_command(argv: list[str]) -> int:
    """Serve a model over HTTP and WebSockets, with an OpenAPI document, until Ctrl+C."""
    options = _read_options(argv)
    limits = ServiceLimits(**{field.name: getattr(options, field.name) for field in dataclasses.fields(ServiceLimits)})
    token = _read_token(options.token_file)
    check_location(options.model)
    from ser_hf.publishing.card_sections import describe_limits
    from ser_hf.serving.service.application import build_service
    from ser_hf.serving.service.server import open_port, run_service

    with open_port(options.host, options.port) as listening:
        service = build_service(
            load_chosen_model(options),
            limits=limits,
            batch_size=options.batch_size,
            host=options.host,
            host_names=options.host_names,
            token=token,
            notice=describe_limits(options.model),
        )
        host, port = listening.getsockname()[:2]
        show(_describe_address(host, port, token), flush=True)
        run_service(service, listening)
    show("Stopped.")
    return 0


def _read_options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="ser-hf serve", description=serve_command.__doc__, epilog=EPILOG, allow_abbrev=False,
        formatter_class=ParagraphFormatter,
    )  # fmt: skip
    add_model_options(parser)
    parser.add_argument(
        "--host", default="127.0.0.1", help="Address to listen at; 0.0.0.0 accepts connections from other machines."
    )
    parser.add_argument("--port", type=int, default=8000, help="Port to listen at; 0 for any free one (%(default)s).")
    parser.add_argument(
        "--host_names", nargs="+", default=[], metavar="NAME",
        help="Other host names that requests may have, such as the public one of a reverse proxy.",
    )  # fmt: skip
    parser.add_argument("--token_file", type=Path, metavar="FILE", help=f"File with the token, instead of {TOKEN}.")
    parser.add_argument("--batch_size", type=_positive(int), default=4, help="Windows per batch (%(default)s).")
    for field in dataclasses.fields(ServiceLimits):
        parser.add_argument(
            f"--{field.name}", type=_positive(type(field.default)), default=field.default,
            help=f"{HELP[field.name]} (%(default)g).",
        )  # fmt: skip
    options = parser.parse_args(argv)
    if not 0 <= options.port <= 65_535:
        parser.error(f"port: expected 0 to 65535, found {options.port}.")
    return options


def _positive(kind: type):
    def parse(text: str) -> int | float:
        value = kind(text)
        if not 0 < value < math.inf:
            raise argparse.ArgumentTypeError(f"expected a finite number above 0, found {text}")
        return value

    parse.__name__ = kind.__name__  # for messages about texts that are no number
    return parse


def _read_token(path: Path | None) -> str | None:
    text = path.read_text(encoding="utf-8") if path else os.environ.get(TOKEN)
    if text is None:
        return None
    from ser_hf.serving.service.access import check_token

    return check_token(text)


def _describe_address(host: str, port: int, token: str | None) -> str:
    local = ipaddress.ip_address(host).is_loopback
    if not (local or token):
        logger.warning(
            f"Everybody who can reach this machine can use the service: no token is set. Set {TOKEN}, or use "
            "--host 127.0.0.1."
        )
    shown = f"[{host}]" if ":" in host else host
    reach = "this machine only" if local else "other machines too"
    key = "with its token" if token else "without a token"
    return f"Serving at http://{shown}:{port} for {reach}, {key} (press Ctrl+C to stop)"
