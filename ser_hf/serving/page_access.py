"""Which requests the page answers: those of its own address and origin, so that no other web page can use it.

A page of another origin can send requests to this machine. After it has given its own host name the address of this
machine (DNS rebinding), it could also read the answers; the headers Host and Origin still have its name.
"""

import ipaddress
import logging
import socket
from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)


class OwnOriginOnly:
    """Refuse requests with another host name in Host, or another origin in Origin; ASGI middleware.

    Args:
        app: The application.
        host: Address or name at which the page listens.
    """

    def __init__(self, app: ASGIApp, host: str):
        self.app, self.names = app, own_names(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if reason := find_fault(self.names, headers.get("host", ""), headers.get("origin")):
            await PlainTextResponse(reason, status_code=403)(scope, receive, send)
            return
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        except Exception as error:  # Gradio raises many types for requests that its page does not send
            logger.warning(f"Refused a request for {scope['path']!r}: {type(error).__name__}.")
            if started:  # a request has one response; without an end of it, the server closes the connection
                return
            await PlainTextResponse("This page has no such function.", status_code=400)(scope, receive, send)


def own_names(host: str) -> set[str]:
    """Return the host names that a server on this machine has.

    Args:
        host: Address or name at which it listens.
    """
    return {name.lower() for name in ("localhost", host, socket.gethostname(), socket.getfqdn())}


def find_fault(names: Collection[str], host: str, origin: str | None) -> str | None:
    """Return why a request is refused; None if it is answered.

    Args:
        names: Host names of the server; any address is accepted too.
        host: Value of the header Host.
        origin: Value of the header Origin, if there is one.
    """
    own, other = _split(f"//{host}"), _split(origin or "")
    if not own or not (own.hostname in names or _is_address(own.hostname or "")):
        return "Expected a host name of this server, found another one. Use the address that the server printed."
    if origin is not None and (not other or other.netloc != host):
        return "Expected a request of a program or of this server's own page, found one of another web page."
    return None


def _split(address: str) -> SplitResult | None:
    try:
        return urlsplit(address)
    except ValueError:  # such as "http://["
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
