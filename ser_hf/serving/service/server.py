"""Run the service until it is stopped; the only module that imports uvicorn."""

import logging
import signal
import socket
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

LARGEST_MESSAGE = 1_000_000  # bytes of a WebSocket
MOST_CONNECTIONS = 500
HEAD_TIMEOUT = 10.0  # seconds for the head of a request
STOP_TIMEOUT = 60  # seconds for requests in progress
DENIED = "without completing handshake"  # what uvicorn logs as an error after each WebSocket that was refused


class PunctualProtocol(H11Protocol):
    """Close connections on which the head of a request does not arrive within one to two times `HEAD_TIMEOUT`."""

    def connection_made(self, transport) -> None:
        """Start to check the connection."""
        super().connection_made(transport)
        self._seen: object = self  # no request
        self.loop.call_later(HEAD_TIMEOUT, self._check)

    def _check(self) -> None:
        if self.transport.is_closing() or self.transport.get_protocol() is not self:  # a WebSocket has its own
            return
        if self._seen is self.cycle and (self.cycle is None or self.cycle.response_complete):
            self.transport.close()
            return
        self._seen = self.cycle
        self.loop.call_later(HEAD_TIMEOUT, self._check)


def open_port(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: Address or name.
        port: Port; 0 for any free one.

    Raises:
        OSError: If the port is in use or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=MOST_CONNECTIONS)
    # Connections inherit this. Otherwise, the body of an answer waits until the client has confirmed the head: 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
    return listening


def configure_server(service: ASGIApp) -> uvicorn.Config:
    """Return the settings of the server: nothing of a request is logged, and no message is unpacked."""
    return uvicorn.Config(
        service,
        http=PunctualProtocol,
        ws_max_size=LARGEST_MESSAGE,
        ws_per_message_deflate=False,  # small messages would become large ones
        ws_ping_interval=None,  # its answers are behind the audio that waits; `idle_timeout` ends what is dead
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=STOP_TIMEOUT,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )


def run_service(service: ASGIApp, listening: socket.socket) -> None:
    """Answer requests until SIGINT (Ctrl+C) or SIGTERM; then finish those in progress.

    Args:
        service: From `build_service`.
        listening: From `open_port`.
    """
    server = uvicorn.Server(configure_server(service))
    logging.getLogger("uvicorn.error").addFilter(lambda record: DENIED not in record.getMessage())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):  # raised again by uvicorn after the requests were finished
        server.run(sockets=[listening])
