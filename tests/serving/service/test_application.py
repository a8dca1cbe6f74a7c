"""What the service answers: recordings, live audio, and requests that it refuses."""

import json
import logging
import threading

import numpy as np
import pytest
import soundfile
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from ser_hf.data.hearing import Hearing
from ser_hf.serving import EmotionClassifier
from ser_hf.serving.backends import Backend
from ser_hf.serving.service.application import build_service
from ser_hf.serving.service.limits import ServiceLimits

RATE = 16_000
ADDRESS, SOCKET = "http://127.0.0.1:8000", "ws://127.0.0.1:8000"
TOKEN = "0123456789abcdef"


@pytest.fixture
def client(classifier):
    limits = ServiceLimits(max_megabytes=1, max_seconds=10, max_streams=1, idle_timeout=0.2)
    with TestClient(build_service(classifier, limits=limits, notice="## Limits\n\nActed speech."), ADDRESS) as client:
        yield client


@pytest.fixture
def talk(speak, record):
    """Return the path of a recording of two emotions."""
    return record(speak(("sad", 2.0), ("", 1.0), ("angry", 3.0)))


def to_bytes(waveform):
    return (32_767 * waveform).astype("<i2").tobytes()


def refuse_socket(client, **options):
    """Return the status with which a WebSocket is refused."""
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect(f"{SOCKET}/stream", **options):
        pass
    return refused.value.status_code


def test_a_recording_gets_the_answer_of_the_classifier(client, classifier, talk):
    response = client.post("/predict", content=talk.read_bytes())
    assert response.status_code == 200
    answer = response.json()
    assert answer["scores"] == pytest.approx(classifier(talk))
    assert list(answer["scores"]) == ["angry", "sad", "neutral"]
    assert (answer["prediction"], answer["uncertain"]) == ("angry", True)
    assert (answer["duration"], answer["missing"], answer["notes"], answer["segments"]) == (6.0, 0.0, [], None)


def test_segments_are_those_of_the_timeline(client, classifier, talk):
    answer = client.post("/predict?segments=true", content=talk.read_bytes()).json()
    expected = list(classifier.timeline(talk))
    assert [segment["emotion"] for segment in answer["segments"]] == ["sad", "angry"]
    assert [(segment["start"], segment["end"]) for segment in answer["segments"]] == [
        (segment.start, segment.end) for segment in expected
    ]
    assert list(answer["segments"][0]) == ["start", "end", "emotion", "score", "uncertain", "scores"]


def test_segments_do_not_change_the_answer_of_a_long_recording_nor_compute_it_twice(recogniser, speak, record):
    backend = Backend("torch", recogniser.emotions, recogniser.score)
    content = record(speak(("sad", 24.0), ("", 1.0), ("angry", 12.0))).read_bytes()
    with TestClient(build_service(EmotionClassifier(backend, Hearing())), ADDRESS) as client:
        plain = client.post("/predict", content=content).json()
        windows = sum(recogniser.batches)
        answer = client.post("/predict?segments=true", content=content).json()
    assert sum(recogniser.batches) == 2 * windows
    assert [(segment["emotion"], segment["uncertain"]) for segment in answer["segments"]] == [
        ("sad", None),
        ("angry", None),
    ]
    assert (answer["prediction"], answer["uncertain"]) == ("sad", None)
    assert list(answer["scores"]) == ["sad", "angry", "neutral"]
    assert answer | {"segments": None} == plain


def test_a_form_and_samples_get_the_answer_of_the_file(client, speak, record):
    waveform = speak(("neutral", 1.0))
    expected = client.post("/predict", content=record(waveform).read_bytes()).json()
    form = client.post("/predict", files={"file": ("a.wav", record(waveform).read_bytes())})
    assert form.json() == expected
    samples = client.post(f"/predict?sampling_rate={RATE}", content=to_bytes(waveform)).json()
    assert samples["scores"] == pytest.approx(expected["scores"], abs=1e-3)


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3", "aiff"])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_file_is_not_taken_for_samples_without_a_header(client, speak, tmp_path, extension, rate):
    soundfile.write(tmp_path / f"a.{extension}", np.tile(speak(("sad", 1.0)), 2), rate)
    response = client.post("/predict?sampling_rate=16000", content=(tmp_path / f"a.{extension}").read_bytes())
    assert response.status_code == 415
    assert "of the parameter sampling_rate, found an audio file. Leave out the parameter" in response.json()["detail"]


def test_samples_that_begin_as_an_mp3_frame_are_samples(client, speak):
    samples = b"\xff\xfb\x90\x00" + to_bytes(speak(("sad", 1.0)))
    assert client.post(f"/predict?sampling_rate={RATE}", content=samples).status_code == 200


def test_ratings_are_answered_on_their_scale(speak, record):
    backend = Backend(
        "torch", ["arousal", "valence"], lambda windows: np.array([[0.75, 0.25]] * len(windows)),
        task="dimensions", rating_scale=(1.0, 5.0),
    )  # fmt: skip
    with TestClient(build_service(EmotionClassifier(backend, Hearing())), ADDRESS) as client:
        content = record(speak(("sad", 1.0))).read_bytes()
        answer = client.post("/predict?segments=true", content=content).json()
    assert answer["scores"] == {"arousal": 4.0, "valence": 2.0}
    assert (answer["prediction"], answer["uncertain"]) == ("arousal 4.0, valence 2.0", None)
    assert [segment["emotion"] for segment in answer["segments"]] == ["arousal 4.0, valence 2.0"]


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        ({"content": b"hello"}, 415, "Expected an audio file, such as WAV, FLAC, MP3 or Ogg, found 5 bytes"),
        ({}, 415, "an empty file"),
        ({"content": bytes(1_000_001)}, 413, "Expected at most 1 MB, found 1.000001 MB. Split or"),
        ({"content": bytes(100_000), "params": {"sampling_rate": 1_000}}, 413, "Expected at most 10 s of audio, found"),
        ({"content": bytes(100_000), "params": {"sampling_rate": RATE}}, 422, "The recording is silent"),
        ({"content": b"abc", "params": {"sampling_rate": RATE}}, 422, "Expected samples of 16 bits"),
        (
            {"params": {"sampling_rate": 16}},
            422,
            '{"detail": "sampling_rate: expected 1000 or more, found \'16\'."}',
        ),
        (
            {"params": {"sampling_rate": "abc"}},
            422,
            "sampling_rate: expected a whole number, found 'abc'.",
        ),
        (
            {"params": {"sampling_rate": "9" * 5_000}},
            422,
            f"sampling_rate: expected a whole number of fewer digits, found '{'9' * 40}'.",
        ),
        ({"params": {"segment": "true"}}, 422, "the parameters sampling_rate and segments, found 'segment'."),
        ({"params": {"segments": "x" * 1_000}}, 422, f"segments: expected true or false, found '{'x' * 40}'."),
        ({"files": {"audio": b"abc"}}, 422, "in the field 'file', found the fields ['audio']. Rename it."),
        ({"files": {"file": (None, "a.wav")}}, 422, "a file in the field 'file', found text. Give this part"),
        (
            {"content": b"abc", "headers": {"Content-Encoding": "gzip"}},
            415,
            "Expected a body without Content-Encoding, found 'gzip'. Send the file as it is.",
        ),
        ({"content": b"abc", "headers": {"Content-Type": "multipart/form-data"}}, 422, "form (Missing boundary"),
        ({"content": b"abc", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 422, "Expected a form"),
    ],
)  # fmt: skip
def test_a_request_without_a_usable_recording_is_refused_in_words(client, request_, status, words):
    response = client.post("/predict", **request_)
    assert response.status_code == status
    assert words in json.dumps(response.json(), ensure_ascii=False)


def test_a_fault_of_the_service_is_one_sentence_without_its_inside(talk):
    def run(windows):
        raise RuntimeError("/secret/path")

    service = build_service(EmotionClassifier(Backend("torch", ["happy", "sad"], run), Hearing()))
    with TestClient(service, ADDRESS, raise_server_exceptions=False) as client:
        response = client.post("/predict", content=talk.read_bytes())
    assert response.status_code == 500
    assert response.json() == {"detail": "The service failed at this request. Its log says why; try again later."}


def test_a_body_that_states_no_size_is_refused_at_the_limit(client):
    assert client.post("/predict", content=(bytes(100_000) for _ in range(100))).status_code == 413


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
def test_other_web_pages_cannot_use_the_service(client, headers, talk):
    assert client.post("/predict", content=talk.read_bytes(), headers=headers).status_code == 403
    assert refuse_socket(client, headers=headers) == 403


def test_host_names_can_be_added(classifier):
    with TestClient(build_service(classifier, host_names=["Emotions.example"]), ADDRESS) as client:
        assert client.get("/health", headers={"Host": "emotions.example"}).status_code == 200


def test_only_those_who_know_the_token_are_answered(classifier, talk, caplog):
    caplog.set_level(logging.DEBUG)
    with TestClient(build_service(classifier, token=TOKEN), ADDRESS) as client:
        for header in (None, TOKEN, f"Bearer {TOKEN[:-1]}", f"bearer {TOKEN}x", f"Bearer {TOKEN}é"):
            headers = {} if header is None else {"Authorization": header.encode()}
            for path in ("/predict", "/metrics", "/openapi.json", "/nothing"):
                response = client.post(path, content=talk.read_bytes(), headers=headers)
                assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
                found = "no such header" if header is None else "another value"
                assert f"with the token of this service, found {found}. Ask who" in response.json()["detail"]
            assert refuse_socket(client, headers=headers) == 401
        assert client.get("/health").json() == {"status": "ok"}
        for scheme in ("bearer", "BEARER"):
            assert client.get("/metrics", headers={"Authorization": f"{scheme} {TOKEN}"}).status_code == 200
        assert client.get("/metrics", headers={"Authorization": f"Basic {TOKEN}"}).status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert client.post("/predict", content=talk.read_bytes(), headers=headers).status_code == 200
        assert TOKEN not in client.get("/openapi.json", headers=headers).text
    assert TOKEN not in caplog.text


def test_the_document_of_the_api_has_limits_and_statuses(client):
    document = client.get("/openapi.json").json()
    assert "Acted speech." in document["info"]["description"]
    assert "at most 1 MB and 10 s" in document["info"]["description"]
    assert "Predictions below 70.0 % are marked as uncertain." in document["info"]["description"]
    operation = document["paths"]["/predict"]["post"]
    assert {"200", "408", "413", "415", "422", "429"} <= operation["responses"].keys()
    assert "multipart/form-data" in operation["requestBody"]["content"]
    assert "missing" in document["components"]["schemas"]["Answer"]["properties"]
    assert client.get("/docs").status_code == 404  # it would load scripts of other hosts


def test_other_addresses_and_methods_are_refused_in_words(client):
    response = client.get("/predictions")
    assert response.status_code == 404
    assert response.json()["detail"] == (
        "Expected one of the addresses /health, /metrics, /openapi.json, /predict or the WebSocket /stream, found "
        "'/predictions'. GET /openapi.json describes the service."
    )
    response = client.get("/stream")
    assert response.status_code == 404
    assert response.json()["detail"].startswith("Expected a WebSocket at /stream, found 'GET'. ")
    response = client.get("/predict")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert response.json()["detail"].startswith("Expected the method POST for /predict, found 'GET'. ")


def test_numbers_for_prometheus_count_requests_and_audio(client, talk):
    client.post("/predict", content=talk.read_bytes())
    client.post("/predict", content=b"hello")
    client.get("/a/path/of/a/scanner")
    text = client.get("/metrics").text
    assert 'ser_hf_requests_total{path="/predict",status="200"} 1.0' in text
    assert 'ser_hf_requests_total{path="/predict",status="415"} 1.0' in text
    assert 'ser_hf_requests_total{path="other",status="404"} 1.0' in text
    assert "ser_hf_audio_seconds_total 6.0" in text
    assert "ser_hf_batch_windows_count 1.0" in text
    assert "scanner" not in text


def test_a_stopped_model_is_not_healthy_and_answers_nothing(classifier, talk):
    client = TestClient(build_service(classifier), ADDRESS)  # not entered: its model was not started
    assert client.get("/health").status_code == 503
    response = client.post("/predict", content=talk.read_bytes())
    assert response.status_code == 503
    assert response.json() == {
        "detail": "Expected a model that runs, found one that has stopped. Try again when the service was restarted."
    }
    with client.websocket_connect(f"{SOCKET}/stream?sampling_rate={RATE}") as socket:
        socket.send_bytes(to_bytes(np.sin(np.arange(3 * RATE) / 20)))
        socket.send_text("end")
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
    assert closed.value.code == 1001


def test_live_audio_gets_events_and_final_segments_of_the_timeline(client, classifier, speak, record):
    waveform = speak(("sad", 2.0), ("", 1.0), ("angry", 3.0))
    content, events = to_bytes(waveform), []
    with client.websocket_connect(f"{SOCKET}/stream?sampling_rate={RATE}") as socket:
        for first in range(0, len(content), 5_000):
            socket.send_bytes(content[first : first + 5_000])
        socket.send_text("end")
        with pytest.raises(WebSocketDisconnect) as closed:
            while True:
                events.append(socket.receive_json())
    assert closed.value.code == 1000
    final = [event for event in events if event["final"]]
    expected = list(classifier.timeline(record(waveform)))
    assert [(event["start"], event["end"], event["emotion"]) for event in final] == [
        (segment.start, segment.end, segment.emotion) for segment in expected
    ]
    assert len(events) > len(final)
    assert list(final[0]) == ["start", "end", "emotion", "score", "uncertain", "scores", "final"]


@pytest.mark.parametrize(
    ("query", "send", "code", "reason"),
    [
        ("", None, 1008, "sampling_rate: expected 1000 to 768000 Hz, found none. Add it to the address."),
        (
            f"?sampling_rate={'9' * 5_000}",
            None,
            1008,
            f"sampling_rate: expected 1000 to 768000 Hz, found '{'9' * 20}'.",
        ),
        (
            "?sampling_rate=9",
            None,
            1008,
            "sampling_rate: expected 1000 to 768000 Hz, found '9'. Add it to the address.",
        ),
        ("?sampling_rate=16000", None, 1008, "Expected samples within 0.2 s, and a client that reads the events"),
        ("?sampling_rate=16000", b"abc", 1003, "Expected samples of 16 bits, 2 bytes each, found 3 bytes."),
        ("?sampling_rate=16000", "hello", 1003, "Expected samples of 16 bits in binary messages, or the text 'end'"),
    ],
    ids=["no rate", "a long rate", "a low rate", "nothing", "half a sample", "text"],
)
def test_a_websocket_is_closed_with_a_reason(client, query, send, code, reason):
    with client.websocket_connect(f"{SOCKET}/stream{query}") as socket:
        if send is not None:
            getattr(socket, f"send_{'bytes' if isinstance(send, bytes) else 'text'}")(send)
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
    assert closed.value.code == code
    assert closed.value.reason.startswith(reason)


def test_empty_messages_do_not_keep_a_websocket_open(client):
    with client.websocket_connect(f"{SOCKET}/stream?sampling_rate={RATE}") as socket:
        closing = threading.Event()

        def send() -> None:
            while not closing.wait(0.05):
                socket.send_bytes(b"")

        sender = threading.Thread(target=send)
        sender.start()
        timer = threading.Timer(5, lambda: socket.send_text("end"))
        timer.start()
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        timer.cancel()
        closing.set()
        sender.join()
    assert closed.value.code == 1008


def test_more_websockets_than_allowed_are_refused_until_one_ends(client):
    with client.websocket_connect(f"{SOCKET}/stream?sampling_rate={RATE}") as socket:
        assert refuse_socket(client) == 429
        socket.close()
    with client.websocket_connect(f"{SOCKET}/stream?sampling_rate={RATE}") as socket:
        socket.send_text("end")
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
    assert closed.value.code == 1000
