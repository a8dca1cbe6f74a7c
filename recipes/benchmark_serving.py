"""Compare `ser-hf serve` with the stock pipeline behind the web server of Python.

`recipes/benchmark.py --serving MODEL` runs this (see its --help).

Each server has a process of its own, and the same machine sends the requests: utterances as WAV files of 16 kHz, so
that the stock pipeline needs no resampling. A client sends its next request when it has the answer to the last one.
The servers take turns, so that other processes on the machine affect both; the last column shows how many cores these
took. Compare only rows in which it is near 0.
"""

import sys

if __name__ == "__main__":
    print(__doc__)
    sys.exit()  # before the imports below, which take seconds

import http.client
import io
import multiprocessing
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import psutil
import soundfile

from ser_hf.corpora import load_corpus
from ser_hf.cpus import usable_cpus
from ser_hf.data import decode_audio
from ser_hf.data.audio import SAMPLING_RATE

CLIENTS = (1, 8, 32)
REQUESTS = 320  # per server and number of clients
FILES = 100
STARTING = 120  # longest start of a server, in seconds
HEADER = (
    "clients", "server", "requests/s", "median ms", "95 % ms", "CPU ms per request", "failed", "MiB", "cores of others",
)  # fmt: skip


def compare_serving(model: Path, corpus: str, data_root: str | os.PathLike) -> None:
    """Print one row per number of clients and server.

    Args:
        model: Folder of a checkpoint.
        corpus: Name of the corpus whose utterances are sent.
        data_root: Its folder.
    """
    paths = [utterance.path for utterance in load_corpus(corpus, data_root)]
    bodies = [to_wav(decode_audio(paths[i])) for i in np.linspace(0, len(paths) - 1, min(FILES, len(paths)), dtype=int)]
    print(f"| {' | '.join(HEADER)} |", "|---" * len(HEADER) + "|", sep="\n", flush=True)
    with serve_ser_hf(model) as ours, serve_stock(model) as stock:
        for port, _ in (ours, stock):
            send(port, bodies[:8], 8)  # the first requests allocate memory and are not measured
        for clients in CLIENTS:
            for name, (port, process) in (("ser-hf serve", ours), ("pipeline behind http.server", stock)):
                before = read_times(process)
                seconds, latencies = send(port, list(islice(cycle(bodies), REQUESTS)), clients)
                cpu, others = read_times(process) - before
                print_row(clients, name, seconds, latencies, cpu, others / seconds, process)
    print(f"\n{REQUESTS} requests per row, {len(bodies)} utterances of {corpus}, {usable_cpus()} cores.")


def read_times(server: psutil.Process) -> np.ndarray:
    """Return the seconds of all cores that the server took so far, and those of other processes, without this one."""
    own, this, times = sum(server.cpu_times()[:2]), sum(psutil.Process().cpu_times()[:2]), psutil.cpu_times()
    return np.array([own, sum(times) - times.idle - getattr(times, "iowait", 0.0) - own - this])


def print_row(
    clients: int,
    name: str,
    seconds: float,
    latencies: Sequence[float],
    cpu: float,
    others: float,
    process: psutil.Process,
) -> None:
    """Print a row of the table.

    Args:
        clients: Number of clients.
        name: Name of the server.
        seconds: Duration of all requests.
        latencies: Seconds of each answered request.
        cpu: Seconds of a core that the server took, which other processes on the machine hardly change.
        others: Number of cores that other processes took.
        process: The server.
    """
    median, late = np.percentile(latencies, [50, 95]) * 1000
    memory = process.memory_info().rss / 2**20
    rate, failed = len(latencies) / seconds, REQUESTS - len(latencies)
    cells = [clients, name, f"{rate:.1f}", f"{median:.0f}", f"{late:.0f}", f"{1000 * cpu / REQUESTS:.0f}", failed]
    print(f"| {' | '.join(map(str, cells))} | {memory:.0f} | {max(0, others):.1f} |", flush=True)


def send(port: int, bodies: Sequence[bytes], clients: int) -> tuple[float, list[float]]:
    """Return the duration of all requests, and the seconds of each one that was answered."""
    bodies, latencies = iter(bodies), []

    def run_client(_: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        for body in bodies:
            start = time.perf_counter()
            try:
                connection.request("POST", "/predict", body)
                response = connection.getresponse()
                response.read()
            except OSError:
                connection.close()
                continue
            if response.status == 200:
                latencies.append(time.perf_counter() - start)

    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(run_client, range(clients)))
    return time.perf_counter() - start, latencies


@contextmanager
def serve_ser_hf(model: Path) -> Iterator[tuple[int, psutil.Process]]:
    """Run `ser-hf serve`; yield its port and its process."""
    port = find_port()
    command = [sys.executable, "-m", "ser_hf.cli", "serve", "--model", model, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(port, lambda: process.poll() is None)
            yield port, psutil.Process(process.pid)
        finally:
            process.terminate()


@contextmanager
def serve_stock(model: Path) -> Iterator[tuple[int, psutil.Process]]:
    """Run the stock pipeline behind `http.server`; yield its port and its process."""
    port = find_port()
    process = multiprocessing.get_context("spawn").Process(target=run_stock, args=(str(model), port), daemon=True)
    process.start()
    try:
        wait_for(port, process.is_alive)
        yield port, psutil.Process(process.pid)
    finally:
        process.kill()


def run_stock(model: str, port: int) -> None:
    """Serve the stock pipeline, a thread per connection."""
    import json
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    import torch
    from transformers import pipeline

    torch.set_num_threads(usable_cpus())
    classify = pipeline("audio-classification", model=model, device="cpu", top_k=None)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else the body of an answer waits 40 ms after its head

        def do_POST(self) -> None:  # noqa: N802
            body = self.rfile.read(int(self.headers["Content-Length"]))
            waveform, _ = soundfile.read(io.BytesIO(body), dtype="float32")
            answer = json.dumps(classify(waveform)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    Server(("127.0.0.1", port), Handler).serve_forever()


def find_port() -> int:
    """Return a free port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_for(port: int, is_alive: Callable[[], bool]) -> None:
    """Wait until a server answers.

    Raises:
        RuntimeError: If its process ends before, or it takes too long.
    """
    end = time.monotonic() + STARTING
    while is_alive() and time.monotonic() < end:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=STARTING)
        try:
            connection.request("GET", "/health")
            connection.getresponse()
            return
        except OSError:
            time.sleep(0.2)
        finally:
            connection.close()
    raise RuntimeError("The server did not start: expected an answer from it. Its messages are above.")


def to_wav(waveform: np.ndarray) -> bytes:
    """Return a waveform ``(T,)`` at 16 kHz as the content of a WAV file."""
    content = io.BytesIO()
    soundfile.write(content, waveform, SAMPLING_RATE, format="WAV", subtype="PCM_16")
    return content.getvalue()
