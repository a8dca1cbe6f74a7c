"""The memory that the body of a request takes."""

import tracemalloc

import anyio
from starlette.requests import Request

from ser_hf.serving.service.limits import ServiceLimits
from ser_hf.serving.service.requests import receive_upload


def test_a_body_is_held_once_while_it_arrives_in_chunks():
    left = 4_000

    async def receive():
        nonlocal left
        left -= 1
        return {"type": "http.request", "body": bytes(1_000), "more_body": left > 0}

    async def measure():
        request = Request({"type": "http", "method": "POST", "headers": []}, receive)
        tracemalloc.start()
        try:
            content = await receive_upload(request, ServiceLimits())
            return len(content), tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    length, most = anyio.run(measure)
    assert length == 4_000_000
    assert most < 1.3 * 4_000_000
