"""Host names in capitals, and an application that fails after its response has started."""

import anyio

from ser_hf.serving.page_access import OwnOriginOnly, find_fault, own_names


def request(app):
    """Return the messages of the response to one request."""
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": "/x", "headers": [(b"host", b"localhost")]}
    anyio.run(OwnOriginOnly(app, "127.0.0.1"), scope, None, send)
    return sent


def test_own_host_name_may_have_capitals():
    names = own_names("Lab-PC.example")
    assert find_fault(names, "lab-pc.example:7860", None) is None
    assert find_fault(names, "Lab-PC.example:7860", "http://Lab-PC.example:7860") is None


def test_a_failure_is_answered_once(caplog):
    start = {"type": "http.response.start", "status": 200, "headers": []}

    async def fail_at_once(scope, receive, send):
        raise KeyError

    async def fail_later(scope, receive, send):
        await send(start)
        raise KeyError

    assert [message.get("status") for message in request(fail_at_once)] == [400, None]
    assert request(fail_later) == [start]
    assert caplog.text.count("Refused a request for '/x': KeyError.") == 2
