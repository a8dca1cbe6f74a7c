"""Call the Hub with retries while it is busy or does not respond, and explain other errors."""

import json
import logging
import time
from collections.abc import Callable
from typing import TypeVar

import httpx2
from huggingface_hub.utils import get_session, parse_ratelimit_headers

logger = logging.getLogger(__name__)

TIMEOUT = 60.0  # seconds without a response; the default of the client has no limit
WAITS = (1.0, 2.0, 4.0, 8.0)  # seconds between attempts
LONGEST_WAIT = 600.0  # seconds; the rate limits of the Hub hold for windows of 300 s
BUSY = (408, 409, 412, 429, 500, 502, 503, 504)  # 409 and 412: a concurrent commit
REFUSALS = {
    401: (PermissionError, "the access token is invalid. Run `hf auth login`, or pass another token."),
    403: (PermissionError, "this token has no write permission there. Expected a token with the role 'write', of that "
          "user or of a member of that organisation: https://huggingface.co/settings/tokens"),
    404: (FileNotFoundError, "the repository does not exist, or this token has no access. Check the spelling."),
    409: (FileExistsError, "there are other commits at the same time. Run again when they are finished."),
    412: (FileExistsError, "there are other commits at the same time. Run again when they are finished."),
    429: (ConnectionError, "too many requests to the Hub. Run again in a few minutes."),
}  # fmt: skip

T = TypeVar("T")


def call_with_retries(call: Callable[[], T], repo_id: str) -> T:
    """Return the result of `call`; retry after 1, 2, 4 and 8 seconds, or after the time that the Hub requests.

    `huggingface_hub` itself retries uploads, but not the creation of repositories and commits.

    Args:
        call: Idempotent function that calls the Hub.
        repo_id: Repository, for messages.

    Raises:
        PermissionError: If the token is invalid or has no write permission.
        FileNotFoundError: If the repository does not exist.
        FileExistsError: If there is a concurrent commit at every attempt.
        ConnectionError: If the Hub stays busy or unreachable, or there is another error.

    Examples:
        >>> call_with_retries(lambda: "done", "user/name")
        'done'
    """
    waits = iter(WAITS)
    while True:
        try:
            get_session().timeout = TIMEOUT
            return call()
        # JSONDecodeError: an HTML page of a gateway. RuntimeError: an upload that failed after the client's retries.
        except (httpx2.HTTPError, json.JSONDecodeError, RuntimeError) as error:
            status, wait = _status(error), next(waits, None)
            if wait is None or isinstance(error, RuntimeError) or status not in (None, *BUSY):
                raise _refuse(error, repo_id) from error
            seconds = _requested_wait(error) or wait
            if seconds > LONGEST_WAIT:
                raise _refuse(error, repo_id) from error
            logger.warning(f"Uploading '{repo_id}' failed ({_name(error)}); next attempt in {seconds:g} s.")
            time.sleep(seconds)


def _refuse(error: Exception, repo_id: str) -> OSError:
    otherwise = ConnectionError, "run again later; files that were uploaded are not uploaded again."
    kind, remedy = REFUSALS.get(_status(error) or 0, otherwise)
    message = getattr(error, "server_message", None)
    details = f" Message of the Hub: {message}" if message else ""
    return kind(f"Could not publish to '{repo_id}' ({_name(error)}): {remedy}{details}")


def _name(error: Exception) -> str:
    status = _status(error)
    return str(status) if status else type(error.__cause__ or error).__name__


def _status(error: Exception) -> int | None:
    cause = error.__cause__ if isinstance(error, RuntimeError) else error
    return getattr(getattr(cause, "response", None), "status_code", None)


def _requested_wait(error: Exception) -> float | None:
    """Return the wait that the Hub requests, in seconds; None if it requests none."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    if (rate := parse_ratelimit_headers(headers)) is not None and rate.remaining == 0:
        return rate.reset_in_seconds + 1.0
    seconds = headers.get("Retry-After", "")
    return float(seconds) if seconds.isdigit() else None
