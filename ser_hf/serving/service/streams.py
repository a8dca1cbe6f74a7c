"""Answer a WebSocket with live audio."""

from collections.abc import Iterator

import anyio
import anyio.lowlevel
from anyio import from_thread, to_thread
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from ser_hf.data.checks import HIGHEST_RATE, LOWEST_RATE, is_rate
from ser_hf.serving.classifier import EmotionClassifier
from ser_hf.serving.service.answers import answer_stream
from ser_hf.serving.service.errors import StoppedError
from ser_hf.serving.service.limits import ServiceLimits

END = "end"  # text message after the last chunk
DONE, AWAY, UNSUITABLE, REFUSED = 1000, 1001, 1003, 1008  # codes of closing; source: RFC 6455, section 7.4.1
LONGEST_REASON = 123  # bytes; source: RFC 6455, section 5.5


async def serve_stream(
    websocket: WebSocket, classifier: EmotionClassifier, limits: ServiceLimits, threads: anyio.CapacityLimiter
) -> None:
    """Send events while audio arrives, and close the WebSocket with a reason.

    The next message is received after all events of the previous ones were sent, so that a client that is faster than
    the model waits, and nothing piles up.

    Args:
        websocket: Not accepted yet; its address has the sampling rate.
        classifier: The model.
        limits: The time without a message that is not empty, after which it is closed.
        threads: Each WebSocket takes one.
    """
    await websocket.accept()
    try:
        rate = _read_rate(websocket.query_params.get("sampling_rate", ""))
    except ValueError as error:
        await _close(websocket, REFUSED, str(error))
        return

    async def receive() -> bytes | None:
        with anyio.fail_after(limits.idle_timeout):
            while (message := await websocket.receive()).get("bytes") == b"":
                await anyio.lowlevel.checkpoint()  # an empty message is no sign of life
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", DONE))
        if message.get("text") == END:
            return None
        if message.get("bytes") is None:
            raise ValueError(
                f"Expected samples of 16 bits in binary messages, or the text '{END}', found another text."
            )
        return message["bytes"]

    async def send_event(event: dict) -> None:
        with anyio.fail_after(limits.idle_timeout):
            await websocket.send_json(event)

    def send(event: dict) -> None:
        from_thread.run(send_event, event)

    def chunks() -> Iterator[bytes]:
        while (chunk := from_thread.run(receive)) is not None:
            yield chunk

    try:
        await to_thread.run_sync(answer_stream, classifier, chunks(), rate, send, limiter=threads)
    except WebSocketDisconnect:
        return
    except TimeoutError:
        await _close(
            websocket,
            REFUSED,
            f"Expected samples within {limits.idle_timeout:g} s, and a client that reads the events, found a longer "
            "pause. Connect again.",
        )
    except StoppedError as error:
        await _close(websocket, AWAY, str(error))
    except ValueError as error:
        await _close(websocket, UNSUITABLE, str(error))
    else:
        await _close(websocket, DONE, "")


def _read_rate(text: str) -> int:
    """Return the sampling rate in Hz of an address."""
    rate = int(text) if text.isdecimal() and len(text) <= len(str(HIGHEST_RATE)) else 0
    if is_rate(rate):
        return rate
    found = repr(text[:20]) if text else "none"
    expected = f"{LOWEST_RATE} to {HIGHEST_RATE} Hz"
    raise ValueError(f"sampling_rate: expected {expected}, found {found}. Add it to the address.")


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    if websocket.application_state == WebSocketState.CONNECTED:
        await websocket.close(code, reason.encode()[:LONGEST_REASON].decode(errors="ignore"))
