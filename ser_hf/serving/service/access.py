"""Which requests the service answers: those for its own address that know its token.

A web page of another origin cannot use the service: see `ser_hf.serving.page_access`.
"""

import hmac
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from ser_hf.serving.page_access import find_fault

OPEN = ("/health",)  # paths that need no token
LEAST_TOKEN = 16  # characters


class ServiceAccess:
    """Refuse requests of other origins, for other host names, and without the token; ASGI middleware.

    Args:
        app: The application.
        names: Host names of the service, see `ser_hf.serving.page_access.own_names`.
        token: Requests must have it in the header Authorization, as "Bearer TOKEN"; None for no token.
    """

    def __init__(self, app: ASGIApp, names: Collection[str], token: str | None):
        self.app, self.names = app, names
        self.expected = token and token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or a WebSocket, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if reason := find_fault(self.names, headers.get("host", ""), headers.get("origin")):
            response = JSONResponse({"detail": reason}, status_code=403)
        elif self.expected and scope["path"] not in OPEN and not self._knows_token(headers):
            response = JSONResponse(
                {"detail": _describe_token(headers.get("authorization"))},
                status_code=401,
                headers={"WWW-Authenticate": "Bearer"},
            )
        else:
            await self.app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(response)
        else:
            await response(scope, receive, send)

    def _knows_token(self, headers: Headers) -> bool:
        scheme, _, found = headers.get("authorization", "").partition(" ")
        known = hmac.compare_digest(found.encode(), self.expected)  # type: ignore[arg-type]
        return known and scheme.lower() == "bearer"


def _describe_token(found: str | None) -> str:
    value = "no such header" if found is None else "another value"
    return (
        f"Expected the header 'Authorization: Bearer TOKEN' with the token of this service, found {value}. Ask who "
        "runs the service."
    )


def check_token(token: str) -> str:
    """Return a token without the line end of its file.

    Raises:
        ValueError: If it is too short, or has characters that a header cannot have; the message does not contain it.
    """
    token = token.strip()
    if len(token) < LEAST_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
        raise ValueError(
            f"token: expected at least {LEAST_TOKEN} ASCII characters without spaces, found {len(token)} characters. "
            "Make one: python -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    return token
