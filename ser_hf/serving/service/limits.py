"""How much the service accepts."""

from dataclasses import dataclass

MEGABYTE = 1_000_000  # bytes


@dataclass(frozen=True)
class ServiceLimits:
    """Hold the limits of the service.

    Uploads take at most `max_requests` times `max_megabytes` of memory, an eighth more while they arrive, and a copy of
    the one that is unpacked from a form or gets a header. Eight of them are decoded and answered at the
    same time, which takes about 0.16 GB for each recording of ten minutes.

    Attributes:
        max_megabytes: Largest body of a request, in megabytes.
        max_seconds: Longest recording of a request, in seconds.
        max_requests: Most requests that are received, wait or are computed at the same time.
        max_streams: Most WebSockets at the same time.
        upload_timeout: Seconds within which the body of a request must have arrived.
        idle_timeout: Seconds without a message, or with empty ones only, after which a WebSocket is closed.

    Examples:
        >>> ServiceLimits(max_seconds=30).max_requests
        32
    """

    max_megabytes: float = 25.0  # 13 minutes of 16 bits at 16 kHz
    max_seconds: float = 600.0
    max_requests: int = 32
    max_streams: int = 8
    upload_timeout: float = 30.0
    idle_timeout: float = 30.0
