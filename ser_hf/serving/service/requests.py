"""Receive the body of a request in memory, within limits of size and time."""

import sys
from collections.abc import AsyncGenerator
from io import BytesIO

import anyio
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from ser_hf.serving.service.errors import NotAudioError, SlowError, TooLongError, UploadError
from ser_hf.serving.service.limits import MEGABYTE, ServiceLimits

FIELD = "file"  # of a form
MOST_FIELDS = 8  # of a form, besides the file


class MemoryParser(MultiPartParser):
    """Parse a form without writing a file to the disk."""

    spool_max_size = sys.maxsize


async def receive_upload(request: Request, limits: ServiceLimits) -> bytes:
    """Return the body of a request, or the file of the form in it.

    Args:
        request: The request.
        limits: Largest size, and longest time.

    Raises:
        TooLongError: If the body is larger.
        SlowError: If it does not arrive in time.
        NotAudioError: If it has a Content-Encoding.
        UploadError: If it is a form without a file in the field "file", or a damaged form.
        ClientDisconnect: If the client ends the connection.
    """
    if (coding := request.headers.get("content-encoding", "identity").lower()) != "identity":
        raise NotAudioError(f"Expected a body without Content-Encoding, found {coding[:20]!r}. Send the file as it is.")
    most = round(limits.max_megabytes * MEGABYTE)
    if (size := int(request.headers.get("content-length", 0))) > most:
        raise _describe_size(limits, f"{size / MEGABYTE:.7g} MB")
    body = _receive(request, most, limits)
    try:
        with anyio.fail_after(limits.upload_timeout):
            if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
                return await _find_file(request, body)
            content = BytesIO()  # its value is no copy, unlike a join of chunks
            async for chunk in body:
                content.write(chunk)
            return content.getvalue()
    except TimeoutError as error:
        raise SlowError(
            f"Expected the whole request within {limits.upload_timeout:g} s, found a part of it. Send a smaller file, "
            "or use a faster connection."
        ) from error


async def _receive(request: Request, most: int, limits: ServiceLimits) -> AsyncGenerator[bytes]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise _describe_size(limits, "more")
        yield chunk


async def _find_file(request: Request, body: AsyncGenerator[bytes]) -> bytes:
    try:
        parser = MemoryParser(request.headers, body, max_files=1, max_fields=MOST_FIELDS)
        form = await parser.parse()
    except MultiPartException as error:
        found = error.message.rstrip(".")
        raise UploadError(
            f"Expected a form with a file in the field '{FIELD}', found a damaged form ({found}). Let your HTTP "
            "library write the form, and its header Content-Type."
        ) from error
    file = form.get(FIELD)
    if isinstance(file, str):
        raise UploadError(
            f"Expected a file in the field '{FIELD}', found text. Give this part of the form a file name; with curl: "
            f"-F {FIELD}=@PATH."
        )
    if file is None:
        raise UploadError(
            f"Expected a form with a file in the field '{FIELD}', found the fields {sorted(form)}. Rename it."
        )
    return await file.read()


def _describe_size(limits: ServiceLimits, found: str) -> TooLongError:
    return TooLongError(
        f"Expected at most {limits.max_megabytes:g} MB, found {found}. Split or compress the recording."
    )
