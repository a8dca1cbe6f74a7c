"""Calls to the Hub: made again while it is busy or silent, refused in plain words otherwise."""

import json
import logging
import time
from collections.abc import Callable
from typing import TypeVar

import httpx2
from huggingface_hub.utils import get_session, parse_ratelimit_headers

logger = logging.getLogger(__name__)

TIMEOUT = 60.0  # seconds without a byte; the client's own default waits for ever
WAITS = (1.0, 2.0, 4.0, 8.0)  # seconds between tries
LONGEST_WAIT = 600.0  # seconds; the Hub's rates are counted over 300
BUSY = (408, 409, 412, 429, 500, 502, 503, 504)  # 409 and 412: somebody else commits at the same time
REFUSALS = {
    401: (PermissionError, "the Hub does not know this token. Say `hf auth login`, or pass another one."),
    403: (PermissionError, "this token may not write there. Expected one with the role 'write', of that user or of a "
          "member of that organisation: https://huggingface.co/settings/tokens"),
    404: (FileNotFoundError, "there is no such repository, or this token may not see it. Check the spelling."),
    409: (FileExistsError, "others commit to it all the time. Run again when they are done."),
    412: (FileExistsError, "others commit to it all the time. Run again when they are done."),
    429: (ConnectionError, "the Hub asks for fewer requests. Run again in some minutes."),
}  # fmt: skip

T = TypeVar("T")


def insist(call: Callable[[], T], repo_id: str) -> T:
    """Return what `call` returns; call again after 1, 2, 4 and 8 seconds, or after as many as the Hub asks for.

    Args:
        call: Talks to the Hub, and does no harm when done twice. `huggingface_hub` tries uploads again, but neither
            creations nor commits.
        repo_id: For messages.

    Raises:
        PermissionError: If the Hub does not know the token, or it may not write.
        FileNotFoundError: If the Hub finds no such repository.
        FileExistsError: If others commit at the same time, whenever it is tried.
        ConnectionError: If the Hub stays busy, silent or out of reach, or refuses for another reason.
    """
    waits = iter(WAITS)
    while True:
        try:
            get_session().timeout = TIMEOUT
            return call()
        # A gateway's page where JSON was expected; an upload that the client has tried often enough.
        except (httpx2.HTTPError, json.JSONDecodeError, RuntimeError) as error:
            status, wait = _status(error), next(waits, None)
            if wait is None or isinstance(error, RuntimeError) or status not in (None, *BUSY):
                raise _refuse(error, repo_id) from error
            seconds = _asked_wait(error) or wait
            if seconds > LONGEST_WAIT:
                raise _refuse(error, repo_id) from error
            logger.warning(f"The Hub did not take '{repo_id}' ({_name(error)}); next try in {seconds:g} s.")
            time.sleep(seconds)


def _refuse(error: Exception, repo_id: str) -> OSError:
    kind, remedy = REFUSALS.get(
        _status(error), (ConnectionError, "run again later; what has arrived is not sent twice.")
    )
    said = getattr(error, "server_message", None)
    told = f" The Hub says: {said}" if said else ""
    return kind(f"Could not publish to '{repo_id}' ({_name(error)}): {remedy}{told}")


def _name(error: Exception) -> str:
    status = _status(error)
    return str(status) if status else type(error.__cause__ or error).__name__


def _status(error: Exception) -> int | None:
    if isinstance(error, RuntimeError):
        error = error.__cause__
    return getattr(getattr(error, "response", None), "status_code", None)


def _asked_wait(error: Exception) -> float | None:
    """Return the seconds that the Hub asks for; its rates are counted in windows of minutes."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    if (rate := parse_ratelimit_headers(headers)) is not None and rate.remaining == 0:
        return rate.reset_in_seconds + 1.0
    asked = headers.get("Retry-After", "")
    return float(asked) if asked.isdigit() else None
