"""A stand-in for S3 on loopback that answers 503 and cuts uploads."""

import threading
from collections import Counter

import fsspec
import pytest

from .test_archive import finish, parts

pytestmark = pytest.mark.slow


class FaultyStore:
    """Wrap an application: each fifth request gets 503, and each second upload of a part is cut after a few bytes."""

    def __init__(self, application):
        self.application, self.seen, self.faults = application, Counter(), Counter()
        self.lock = threading.Lock()

    def __call__(self, environ, start_response):
        method, upload = environ["REQUEST_METHOD"], "/parts/" in environ["PATH_INFO"]
        with self.lock:
            self.seen["requests"] += 1
            self.seen["uploads"] += method == "PUT" and upload
            busy = self.seen["requests"] % 5 == 0
            cut = method == "PUT" and upload and self.seen["uploads"] % 2 == 1
            self.faults["503"] += busy
            self.faults["cut"] += cut and not busy
        if busy:
            start_response("503 Slow Down", [("Content-Type", "application/xml"), ("Connection", "close")])
            return [b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"]
        if cut:
            environ["wsgi.input"].read(100)
            environ["werkzeug.socket"].shutdown(2)
            return []
        return self.application(environ, start_response)


@pytest.fixture(scope="module")
def faulty_store():
    pytest.importorskip("moto", reason="the extra [slow] is not installed")
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    store = FaultyStore(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, store, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    variables = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.port}", "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        fsspec.get_filesystem_class("s3").clear_instance_cache()  # of another address
        fsspec.filesystem("s3").mkdir("bucket")
        yield store
    server.shutdown()


def test_an_object_store_that_fails_now_and_then_gives_the_parts_of_a_folder(planned, calls, tmp_path, faulty_store):
    fsspec.filesystem("s3").put(f"{calls}/", "s3://bucket/calls/", recursive=True)
    rows = finish(planned("s3://bucket/calls", "s3://bucket/job"))
    expected = finish(planned())
    assert rows.equals(expected)
    assert sorted(parts("s3://bucket/job")) == sorted(parts(tmp_path / "job"))
    assert faulty_store.faults["503"] >= 10
    assert faulty_store.faults["cut"] >= 2


def test_a_part_is_written_once_by_a_conditional_request(faulty_store):
    first, second = (fsspec.filesystem("s3", skip_instance_cache=True) for _ in range(2))
    first.pipe_file("s3://bucket/part", b"first", mode="create")
    with pytest.raises(FileExistsError):
        second.pipe_file("s3://bucket/part", b"second", mode="create")
    assert first.cat_file("s3://bucket/part") == b"first"


def test_an_object_that_was_replaced_by_one_of_the_same_size_is_an_error_row(planned, calls, tmp_path, faulty_store):
    store = fsspec.filesystem("s3")
    store.put(f"{calls}/", "s3://bucket/replaced/", recursive=True)
    folder = planned("s3://bucket/replaced", tmp_path / "replaced")
    content = store.cat_file("s3://bucket/replaced/day 1/3.wav")
    store.pipe_file("s3://bucket/replaced/day 1/3.wav", content[:-1] + b"x")
    error = finish(folder).set_index("key")["error"]
    assert error["day 1/3.wav"].startswith("'day 1/3.wav' has changed: expected the version '")
    assert error.notna().sum() == 2  # one is no audio
