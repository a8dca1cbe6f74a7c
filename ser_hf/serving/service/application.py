"""Define the addresses of the service; the only module that imports FastAPI.

Nothing is written to the disk, and neither audio nor answers are kept or logged.
"""

import logging
import os
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Annotated

import anyio

try:
    from fastapi import FastAPI, Query, Request, Response, WebSocket
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
except ImportError as error:
    raise ImportError('The service needs FastAPI: pip install "ser_hf[serve]"') from error

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ser_hf import __version__
from ser_hf.data.checks import HIGHEST_RATE, LOWEST_RATE
from ser_hf.serving.classifier import EmotionClassifier
from ser_hf.serving.page_access import own_names
from ser_hf.serving.service.access import ServiceAccess
from ser_hf.serving.service.answers import Answer, answer_recording
from ser_hf.serving.service.batching import Batcher
from ser_hf.serving.service.description import BODY, RESPONSES, describe_service
from ser_hf.serving.service.errors import BusyError, SlowError, StoppedError, UploadError
from ser_hf.serving.service.limits import ServiceLimits
from ser_hf.serving.service.metrics import CountRequests, ServiceMetrics
from ser_hf.serving.service.recordings import add_header
from ser_hf.serving.service.requests import receive_upload
from ser_hf.serving.service.streams import serve_stream

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # its warnings are about forms of clients
# oneDNN keeps compiled kernels for 1024 lengths of audio; it reads this before its first use.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")

PATHS = frozenset({"/predict", "/health", "/metrics", "/openapi.json"})
STREAM = "/stream"  # a WebSocket
PARAMETERS = ("sampling_rate", "segments")  # of /predict
# What a parameter has to be, by the type of error of pydantic.
RULES = {
    "int_parsing": "a whole number", "int_parsing_size": "a whole number of fewer digits",
    "bool_parsing": "true or false", "greater_than_equal": "{ge} or more", "less_than_equal": "{le} or less",
}  # fmt: skip
LONGEST_VALUE = 40  # characters of a parameter in a message
WAIT = {"Retry-After": "1"}  # seconds
# Recordings that are decoded and answered at the same time, or two batches if that is more; others wait. While one
# batch is scored, the next one is decoded. Source: an Opus file of 590 s took 161 MB, so that these take at most about
# 1.3 GB besides the model.
RECORDINGS = 8


class Places:
    """Count what is in progress, and refuse more than a number; used by the thread of the event loop only.

    Args:
        most: The number.
        what: What is counted, for the message.
        show: Called with the number in progress when it changes.
    """

    def __init__(self, most: int, what: str, show: Callable[[float], None]):
        self.most, self.what, self.show, self.taken = most, what, show, 0

    @contextmanager
    def take(self) -> Iterator[None]:
        """Take a place for as long as the context lasts.

        Raises:
            BusyError: If there is none.
        """
        if self.taken >= self.most:
            raise BusyError(f"Expected fewer than {self.most} {self.what} in progress, found as many. Try again later.")
        self.taken += 1
        self.show(self.taken)
        try:
            yield
        finally:
            self.taken -= 1
            self.show(self.taken)


def build_service(
    classifier: EmotionClassifier,
    *,
    limits: ServiceLimits = ServiceLimits(),  # noqa: B008  # it is frozen
    batch_size: int = 4,
    host: str = "127.0.0.1",
    host_names: Collection[str] = (),
    token: str | None = None,
    notice: str = "",
) -> FastAPI:
    """Build the service as an ASGI application.

    Args:
        classifier: The model.
        limits: What is accepted.
        batch_size: Windows per batch of the model.
        host: Address or name at which the service will listen.
        host_names: Other host names that requests may have, such as that of a reverse proxy.
        token: Requests must have it; None for no token.
        notice: Markdown about the model's limits, for the description of the API.
    """
    metrics = ServiceMetrics()
    batcher = Batcher(classifier, batch_size=batch_size, report=metrics.windows.observe)

    @asynccontextmanager
    async def run_model(_: FastAPI) -> AsyncIterator[None]:
        with batcher:
            yield

    service = FastAPI(
        title="Speech emotions",
        version=__version__,
        description=describe_service(classifier, limits, token is not None, notice),
        docs_url=None,  # these pages load scripts of other hosts
        redoc_url=None,
        lifespan=run_model,
    )
    service.add_middleware(ServiceAccess, names=own_names(host) | {name.lower() for name in host_names}, token=token)
    service.add_middleware(CountRequests, metrics=metrics, paths=PATHS)  # the outermost one
    service.add_exception_handler(UploadError, _refuse)  # type: ignore[arg-type]
    service.add_exception_handler(StoppedError, _refuse)  # type: ignore[arg-type]
    service.add_exception_handler(RequestValidationError, _describe_parameter)  # type: ignore[arg-type]
    service.add_exception_handler(HTTPException, _describe_address)  # type: ignore[arg-type]
    service.add_exception_handler(Exception, _hide)
    service.add_exception_handler(ClientDisconnect, lambda *_: Response(status_code=499))  # nobody reads it
    recordings = anyio.CapacityLimiter(max(RECORDINGS, 2 * batch_size))  # each takes a thread
    _add_recordings(service, batcher.classifier, limits, recordings, metrics)
    _add_streams(service, batcher.classifier, limits, metrics)
    _add_numbers(service, batcher, metrics)
    return service


def _add_recordings(
    service: FastAPI,
    classifier: EmotionClassifier,
    limits: ServiceLimits,
    limiter: anyio.CapacityLimiter,
    metrics: ServiceMetrics,
) -> None:
    places = Places(limits.max_requests, "requests", metrics.places.set)

    @service.post("/predict", responses=RESPONSES, openapi_extra=BODY)
    async def predict(
        request: Request,
        segments: Annotated[bool, Query(description="Whether the answer has the emotions over time.")] = False,
        sampling_rate: Annotated[
            int | None,
            Query(ge=LOWEST_RATE, le=HIGHEST_RATE,
                  description="Rate in Hz of samples without a header: 16 bits, little-endian, mono."),
        ] = None,
    ) -> Answer:  # fmt: skip
        """Recognise the emotions of a recording."""
        if unknown := sorted(request.query_params.keys() - PARAMETERS):
            raise UploadError(
                f"Expected the parameters {' and '.join(PARAMETERS)}, found {unknown[0][:LONGEST_VALUE]!r}."
            )
        with places.take():
            content = await receive_upload(request, limits)
            if sampling_rate:
                content = add_header(content, sampling_rate)
            work = partial(answer_recording, classifier, content, segments=segments, longest=limits.max_seconds)
            answer = await anyio.to_thread.run_sync(work, limiter=limiter)
        metrics.audio.inc(answer.duration)
        return answer


def _add_streams(
    service: FastAPI, classifier: EmotionClassifier, limits: ServiceLimits, metrics: ServiceMetrics
) -> None:
    places = Places(limits.max_streams, "WebSockets", metrics.streams.set)
    limiter = anyio.CapacityLimiter(limits.max_streams)  # each takes a thread

    @service.websocket(STREAM)
    async def stream(websocket: WebSocket) -> None:
        try:
            with places.take():
                await serve_stream(websocket, classifier, limits, limiter)
        except BusyError as error:
            await websocket.send_denial_response(_refuse(None, error))


def _add_numbers(service: FastAPI, batcher: Batcher, metrics: ServiceMetrics) -> None:
    @service.get("/health", responses={503: {"description": "The model does not run."}})
    def health(response: Response) -> dict[str, str]:
        """Tell whether the service works; needs no token."""
        if batcher.is_running:
            return {"status": "ok"}
        response.status_code = 503
        return {"status": "stopped"}

    @service.get("/metrics", response_class=Response)
    def show_metrics() -> Response:
        """Show counts and times in the text format of Prometheus."""
        return Response(metrics.render(), media_type="text/plain; version=0.0.4")


def _refuse(_: object, error: UploadError | StoppedError) -> JSONResponse:
    headers = WAIT if isinstance(error, BusyError) else None
    if isinstance(error, SlowError):
        headers = {"Connection": "close"}  # the rest of the body is not waited for
    return JSONResponse({"detail": str(error)}, error.status, headers)


def _describe_parameter(_: object, error: RequestValidationError) -> JSONResponse:
    first = error.errors()[0]
    rule = RULES.get(first["type"], first["msg"]).format(**first.get("ctx", {}))
    sentence = f"{first['loc'][-1]}: expected {rule}, found {str(first['input'])[:LONGEST_VALUE]!r}."
    return JSONResponse({"detail": sentence}, UploadError.status)


def _describe_address(request: Request, error: HTTPException) -> JSONResponse:
    """Answer a request for an address that does not exist (404), or with a method that it does not take (405)."""
    addresses = f"{', '.join(sorted(PATHS))} or the WebSocket {STREAM}"
    expected, found = f"one of the addresses {addresses}", request.url.path
    if request.url.path == STREAM:
        expected, found = f"a WebSocket at {STREAM}", request.method
    if error.status_code == 405:
        expected, found = f"the method {(error.headers or {}).get('Allow')} for {request.url.path}", request.method
    sentence = f"Expected {expected}, found {found[:LONGEST_VALUE]!r}. GET /openapi.json describes the service."
    return JSONResponse({"detail": sentence}, error.status_code, error.headers)


def _hide(_: object, error: Exception) -> JSONResponse:
    """Answer after a fault of the service, which the server logs; clients learn nothing about its inside."""
    return JSONResponse({"detail": "The service failed at this request. Its log says why; try again later."}, 500)
