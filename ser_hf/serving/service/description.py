"""Describe the service in its OpenAPI document."""

from typing import Any

from ser_hf.escaping import markdown
from ser_hf.serving.certainty import describe_certainty
from ser_hf.serving.classifier import EmotionClassifier
from ser_hf.serving.service.limits import ServiceLimits
from ser_hf.serving.service.requests import FIELD

BINARY = {"schema": {"type": "string", "format": "binary"}}
FORM = {"type": "object", "required": [FIELD], "properties": {FIELD: BINARY["schema"]}}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "An audio file, as the body or in a form; or samples, with their sampling_rate.",
        "content": {"audio/*": BINARY, "application/octet-stream": BINARY, "multipart/form-data": {"schema": FORM}},
    }
}
ERROR = {
    "application/json": {"schema": {"type": "object", "properties": {"detail": {"type": "string"}}}},
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": ERROR}
    for status, text in {
        401: "The token is missing or wrong.",
        403: "The request is from another web page, or for another host name.",
        408: "The request did not arrive in time.",
        413: "The recording is too large or too long.",
        415: "The request is no audio, or has a Content-Encoding.",
        422: "The recording is silent or damaged, or a parameter is wrong.",
        429: "Too many requests are in progress: send it again after the seconds in Retry-After.",
        500: "The service failed.",
        503: "The model does not run: the service stops.",
    }.items()
}

DESCRIPTION = """\
This model recognises by the voice: {outputs}. {honesty}

`POST /predict` answers a recording of at most {megabytes:g} MB and {seconds:g} s, and at most {requests} requests at
the same time. Recordings are neither kept nor written to a disk.{token}

`WebSocket /stream?sampling_rate=RATE` answers live audio: send binary messages of samples (16 bits, little-endian,
mono), and the text `end` after the last one. Each event is a segment as JSON; `final` is false if later audio may
change it, and then the next event replaces it. The service closes the WebSocket after the last event, or after
{idle:g} s without samples.

{notice}
"""


def describe_service(classifier: EmotionClassifier, limits: ServiceLimits, has_token: bool, notice: str) -> str:
    """Return the description of the API in Markdown.

    Args:
        classifier: The model.
        limits: What is accepted.
        has_token: Whether requests need a token.
        notice: Markdown about the model's limits.
    """
    return DESCRIPTION.format(
        outputs=", ".join(map(markdown, classifier.emotions)),
        honesty=describe_certainty(classifier),
        megabytes=limits.max_megabytes,
        seconds=limits.max_seconds,
        requests=limits.max_requests,
        idle=limits.idle_timeout,
        token=" Requests need the header `Authorization: Bearer TOKEN`." * has_token,
        notice=notice,
    )
