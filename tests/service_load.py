"""Load a service with recordings and faults of many kinds, and check that each gets its answer: a script, and a test.

    python tests/service_load.py --minutes 30 [--model FOLDER]

Prints counts of answers, the memory of the service at the beginning and at the end, and the longest time of a request,
and exits with 1 if a request got another answer than expected, or was still in progress at the end. Without a model, a
tiny one with random weights is served.
"""

import argparse
import http.client
import io
import json
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import soundfile
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

RATE = 16_000
WARM_UP = 1_000  # answered recordings before the memory is measured for the first time; it grows until then
LIMITS = {"max_megabytes": 1, "max_seconds": 20, "upload_timeout": 2, "idle_timeout": 2, "max_requests": 16}


class Load:
    """Send requests from threads until a time or a number of them is reached."""

    def __init__(self, port, process, *, seconds=float("inf"), requests=10**9):
        self.port, self.process, self.requests = port, process, requests
        self.end = time.monotonic() + seconds
        self.answers, self.wrong, self.longest, self.memory = Counter(), Counter(), 0.0, []
        self.sent, self.lock = 0, threading.Lock()
        self.recordings = make_recordings()

    def run(self):
        """Run all kinds of clients, and return a summary."""
        kinds = [self.send_recordings] * 8 + [self.send_faults, self.send_slowly, self.leave, self.stream, self.stall]
        threads = [threading.Thread(target=self.repeat, args=(kind, seed)) for seed, kind in enumerate(kinds)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.memory.append(self.measure())
        self.check_idle()
        return {
            "requests": self.sent, "answers": dict(self.answers), "wrong": dict(self.wrong),
            "longest_seconds": round(self.longest, 2), "memory_mb": [self.memory[0], self.memory[-1], max(self.memory)],
        }  # fmt: skip

    def repeat(self, kind, seed):
        chance = random.Random(seed)
        while time.monotonic() < self.end and self.sent < self.requests:
            start = time.monotonic()
            try:
                kind(chance)
            except Exception as error:
                self.count(kind.__name__, type(error).__name__, "no error")
            with self.lock:
                self.longest = max(self.longest, time.monotonic() - start)

    def count(self, name, found, expected):
        """Count an answer; `expected` is one of several answers."""
        with self.lock:
            self.sent += 1
            self.answers[f"{name} {found}"] += 1
            if found not in expected:
                self.wrong[f"{name} {found}"] += 1
            if self.answers["recording 200"] >= WARM_UP and self.sent % 100 == 0:
                self.memory.append(self.measure())

    def measure(self):
        return round(self.process.memory_info().rss / 1e6)

    def post(self, name, body, expected, *, query=""):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", f"/predict{query}", body)
        response = connection.getresponse()
        json.loads(response.read())
        connection.close()
        self.count(name, response.status, {*expected, 429})

    def send_recordings(self, chance):
        self.post("recording", chance.choice(self.recordings), {200}, query=chance.choice(["", "?segments=true"]))

    def send_faults(self, chance):
        whole = self.recordings[0]
        name, body, status = chance.choice([
            ("no audio", b"hello", 415), ("empty", b"", 415), ("cut off", whole[: len(whole) // 2], 200),
            ("silent", wav(np.zeros(RATE)), 422), ("too long", wav(np.ones(21 * 8_000), 8_000), 413),
            ("too large", bytes(1_100_000), 413), ("damaged", whole[:40] + whole[100:300], 415),
        ])  # fmt: skip
        self.post(name, body, {status, 200} if name == "damaged" else {status})

    def send_slowly(self, _):
        with self.open() as slow:
            slow.settimeout(30)
            answer = b"".join(iter(lambda: slow.recv(4096), b""))
        self.count("slow", int(answer.split()[1]), {408, 429})

    def leave(self, chance):
        with self.open():
            time.sleep(chance.uniform(0, 0.2))
        self.count("left", "at once", {"at once"})

    def stream(self, chance):
        samples = (20_000 * np.sin(np.arange(3 * RATE) / 20)).astype("<i2").tobytes()
        size = 2 * chance.randrange(100, 20_000)
        with connect(f"ws://127.0.0.1:{self.port}/stream?sampling_rate={RATE}") as client:
            for first in range(0, len(samples), size):
                client.send(samples[first : first + size])
            client.send("end")
            final = [event for event in map(json.loads, client) if event["final"]]
        self.count("stream", f"{len(final)} final", {"1 final"})

    def stall(self, _):
        with connect(f"ws://127.0.0.1:{self.port}/stream?sampling_rate={RATE}") as client:
            client.send(bytes(1_000))
            try:
                client.recv(timeout=30)
            except ConnectionClosed as closed:
                self.count("stalled", closed.rcvd.code, {1008})

    @contextmanager
    def open(self):
        """Send the head and a part of the body of a request."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Length: 1000\r\n\r\nRIFF"
            connection.sendall(head.encode())
            yield connection

    def check_idle(self):
        """Note requests that are still in progress."""
        time.sleep(LIMITS["upload_timeout"] + 1)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        for name in ("ser_hf_requests_in_progress", "ser_hf_streams_in_progress"):
            if f"{name} 0.0" not in text:
                self.wrong[f"{name} at the end"] += 1


def make_recordings():
    """Return recordings of several lengths and formats."""
    chance = np.random.default_rng(0)
    recordings = []
    for seconds in np.linspace(0.3, 8, 12):
        waveform = chance.normal(0, 0.1, round(seconds * RATE)) * np.sin(np.arange(round(seconds * RATE)) / 3_000)
        for container in ("WAV", "FLAC", "MP3", "OGG"):
            content = io.BytesIO()
            soundfile.write(content, waveform, RATE, format=container)
            recordings.append(content.getvalue())
    return recordings


def wav(samples, rate=RATE):
    content = io.BytesIO()
    soundfile.write(content, samples, rate, format="WAV", subtype="PCM_16")
    return content.getvalue()


@contextmanager
def serve(model):
    """Run `ser-hf serve` with short limits; yield its port and its process."""
    options = [f"--{name}={value}" for name, value in LIMITS.items()]
    command = [sys.executable, "-m", "ser_hf.cli", "serve", "--model", str(model), "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()  # "Serving at http://127.0.0.1:PORT for …"
        try:
            yield int(line.split()[2].rsplit(":", 1)[1]), psutil.Process(process.pid)
        finally:
            process.terminate()
            process.communicate()


def write_tiny_model(folder):
    from architectures import feature_extractor, tiny_model

    tiny_model("wav2vec2-layer").save_pretrained(folder)
    feature_extractor("wav2vec2-layer").save_pretrained(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--requests", type=int, default=10**9, help="end after this number of requests")
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.model is None:
            write_tiny_model(folder)
        with serve(options.model or folder) as (port, process):
            summary = Load(port, process, seconds=60 * options.minutes, requests=options.requests).run()
    print(json.dumps(summary, indent=1))
    return int(bool(summary["wrong"]))


if __name__ == "__main__":
    sys.exit(main())
