"""The service on a real port: many clients at once, slow clients, and what stays in memory."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import service_load
import uvicorn
from served import serve
from websockets.sync.client import connect

from ser_hf.data.hearing import Hearing
from ser_hf.serving import EmotionClassifier
from ser_hf.serving.backends import Backend
from ser_hf.serving.service import batching, server
from ser_hf.serving.service.application import build_service
from ser_hf.serving.service.limits import ServiceLimits


@pytest.fixture
def gate(recogniser):
    """A classifier that waits at a gate, and the gate."""
    gate = threading.Event()

    def run(windows):
        gate.wait(60)
        return recogniser.score(windows)

    return EmotionClassifier(Backend("torch", recogniser.emotions, run), Hearing()), gate


@pytest.fixture
def content(speak, record):
    return record(speak(("sad", 0.5))).read_bytes()


def wait_for(address, number):
    """Wait until requests are in progress."""
    while f"ser_hf_requests_in_progress {number:.1f}" not in httpx.get(f"{address}/metrics", timeout=60).text:
        time.sleep(0.01)


def test_a_hundred_clients_are_answered_or_told_to_come_back(gate, content):
    classifier, opened = gate
    service = build_service(classifier, limits=ServiceLimits(max_requests=10))
    clients = httpx.Client(limits=httpx.Limits(max_connections=100), timeout=60)
    with serve(service) as address, clients, ThreadPoolExecutor(100) as pool:
        tasks = [pool.submit(clients.post, f"{address}/predict", content=content) for _ in range(100)]
        while sum(task.done() for task in tasks) < 90:
            time.sleep(0.01)
        opened.set()
        responses = [task.result() for task in tasks]
        assert sorted(response.status_code for response in responses) == [200] * 10 + [429] * 90
        refused = next(response for response in responses if response.status_code == 429)
        assert refused.headers["Retry-After"] == "1"
        assert refused.json() == {
            "detail": "Expected fewer than 10 requests in progress, found as many. Try again later."
        }
        assert httpx.post(f"{address}/predict", content=content, timeout=60).status_code == 200
        wait_for(address, 0)


def test_the_next_batch_is_decoded_while_one_is_scored(recogniser, content, monkeypatch):
    monkeypatch.setattr(batching, "WAIT", 0.0)  # a batch has what is there
    sizes = []

    def run(windows):
        sizes.append(len(windows))
        time.sleep(0.1)
        return recogniser.score(windows)

    service = build_service(EmotionClassifier(Backend("torch", recogniser.emotions, run), Hearing()), batch_size=4)
    with serve(service) as address, httpx.Client(timeout=60) as client, ThreadPoolExecutor(16) as pool:
        tasks = [pool.submit(client.post, f"{address}/predict", content=content) for _ in range(40)]
        assert [task.result().status_code for task in tasks] == [200] * 40
    assert sizes.count(4) >= 8, sizes


def test_no_answer_waits_for_the_client_to_confirm_its_head():
    with server.open_port("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        connection, _ = listening.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_client_that_waits_for_the_model_is_not_taken_for_dead(gate, monkeypatch):
    short, config = {"ws_ping_interval": 0.1, "ws_ping_timeout": 0.1}, uvicorn.Config  # 20 s by default
    monkeypatch.setattr(uvicorn, "Config", lambda service, **options: config(service, **short | options))
    classifier, opened = gate
    with serve(build_service(classifier)) as address:
        url = f"{address.replace('http', 'ws')}/stream?sampling_rate=16000"
        with connect(url, ping_interval=None) as stream:
            stream.send((20_000 * np.sin(np.arange(48_000) / 20)).astype("<i2").tobytes())
            stream.send("end")
            threading.Timer(1, opened.set).start()
            assert [event["end"] for event in map(json.loads, stream) if event["final"]] == [3.0]


def test_a_slow_upload_ends_and_others_do_not_wait(classifier, content):
    with serve(build_service(classifier, limits=ServiceLimits(upload_timeout=0.5, max_requests=2))) as address:
        url = urlsplit(address)
        with socket.create_connection((url.hostname, url.port)) as slow:
            slow.sendall(f"POST /predict HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: 1000\r\n\r\nRIFF".encode())
            wait_for(address, 1)
            assert httpx.post(f"{address}/predict", content=content, timeout=60).status_code == 200
            slow.settimeout(60)
            answer = b"".join(iter(lambda: slow.recv(4096), b""))  # to the end: the service closes the connection
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"Expected the whole request within 0.5 s, found a part of it. Send a smaller file" in answer
        wait_for(address, 0)


def test_a_connection_without_a_whole_head_is_closed(classifier, monkeypatch, content):
    monkeypatch.setattr(server, "HEAD_TIMEOUT", 0.2)
    with serve(build_service(classifier)) as address:
        url = urlsplit(address)
        with socket.create_connection((url.hostname, url.port)) as slow:
            slow.sendall(b"GET /health HTTP/1.1\r\nHost: 127.")
            slow.settimeout(60)
            assert slow.recv(1) == b""
        with httpx.Client(timeout=60) as client:  # one that waits for its answer is not
            assert client.post(f"{address}/predict", content=content).status_code == 200


def test_a_client_that_leaves_keeps_no_place(gate, content):
    classifier, opened = gate
    with serve(build_service(classifier, limits=ServiceLimits(max_requests=1))) as address:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{address}/predict", content=content, timeout=0.2)
        url = urlsplit(address)
        opened.set()
        wait_for(address, 0)
        with socket.create_connection((url.hostname, url.port)) as cut:
            cut.sendall(f"POST /predict HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: 1000\r\n\r\nRIFF".encode())
            wait_for(address, 1)
        wait_for(address, 0)
        assert httpx.post(f"{address}/predict", content=content, timeout=60).status_code == 200


def test_requests_in_progress_are_answered_before_the_end(gate, content):
    classifier, opened = gate
    with ThreadPoolExecutor(4) as pool:
        with serve(build_service(classifier)) as address:
            tasks = [pool.submit(httpx.post, f"{address}/predict", content=content, timeout=60) for _ in range(4)]
            wait_for(address, 4)
            threading.Timer(0.2, opened.set).start()
        assert [task.result().status_code for task in tasks] == [200] * 4


def test_a_request_that_outlasts_the_time_to_stop_does_not_keep_the_process(gate, speak, record, monkeypatch):
    monkeypatch.setattr(server, "STOP_TIMEOUT", 0.2)
    classifier, opened = gate
    content = record(speak(("sad", 40.0))).read_bytes()  # several batches
    with ThreadPoolExecutor(1) as pool:
        with serve(build_service(classifier)) as address:
            task = pool.submit(httpx.post, f"{address}/predict", content=content, timeout=60)
            wait_for(address, 1)
            threading.Timer(1, opened.set).start()
        assert task.result().status_code >= 500
    for thread in threading.enumerate():
        if thread.name == "AnyIO worker thread":
            thread.join(10)
            assert not thread.is_alive()


@pytest.mark.slow
def test_ten_thousand_requests_with_faults_are_answered_in_constant_memory(tmp_path):
    service_load.write_tiny_model(tmp_path)
    with service_load.serve(tmp_path) as (port, process):
        summary = service_load.Load(port, process, requests=10_000).run()
    assert summary["wrong"] == {}
    first, last, _ = summary["memory_mb"]
    assert last - first < 40, summary
