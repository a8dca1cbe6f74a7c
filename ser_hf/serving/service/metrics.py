"""Count what the service does, for Prometheus."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)  # edges of the histogram


class ServiceMetrics:
    """Hold the numbers of one service.

    Examples:
        >>> metrics = ServiceMetrics()
        >>> metrics.audio.inc(2.5)
        >>> "ser_hf_audio_seconds_total 2.5" in metrics.render().decode()
        True
    """

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        labels = ("path", "status")
        self.requests = Counter("ser_hf_requests", "Answered requests", labels, registry=registry)
        self.seconds = Histogram(
            "ser_hf_request_seconds", "Time from the head of a request to the end of its response", ("path",),
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self.places = Gauge("ser_hf_requests_in_progress", "Recordings in progress", registry=registry)
        self.streams = Gauge("ser_hf_streams_in_progress", "WebSockets in progress", registry=registry)
        self.audio = Counter("ser_hf_audio_seconds", "Audio of answered recordings", registry=registry)
        self.windows = Histogram(
            "ser_hf_batch_windows", "Windows per batch of the model", buckets=(1, 2, 4, 8, 16, 32), registry=registry
        )

    def render(self) -> bytes:
        """Return all numbers in the text format of Prometheus."""
        return generate_latest(self._registry)


class CountRequests:
    """Count requests by path and status; ASGI middleware.

    Args:
        app: The application.
        metrics: The numbers.
        paths: Known paths; others are counted together, so that nobody can make the numbers grow.
    """

    def __init__(self, app: ASGIApp, metrics: ServiceMetrics, paths: frozenset[str]):
        self.app, self.metrics, self.paths = app, metrics, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and count it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path, start = scope["path"] if scope["path"] in self.paths else "other", time.perf_counter()

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.metrics.requests.labels(path, message["status"]).inc()
            await send(message)

        try:
            await self.app(scope, receive, send_and_count)
        finally:
            self.metrics.seconds.labels(path).observe(time.perf_counter() - start)
