"""A service on a loopback port, in a thread of the tests."""

import threading
import time
from contextlib import contextmanager

import uvicorn

from ser_hf.serving.service.server import configure_server, open_port


@contextmanager
def serve(service):
    """Serve an application, and yield its address."""
    with open_port("127.0.0.1", 0) as listening:
        server = uvicorn.Server(configure_server(service))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
