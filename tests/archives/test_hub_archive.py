"""An archive in a repository of the Hub; a stand-in on loopback answers."""

import fsspec
import pytest
from publishing.hub_server import Repository, object_id, use_hub

from .test_archive import finish


@pytest.fixture
def commit(calls, tmp_path, monkeypatch):
    """Commit files, by their names, to the repository someone/calls, which contains the calls."""
    with use_hub(monkeypatch, tmp_path / "cache") as hub:
        repository = hub.repositories["someone/calls"] = Repository(private=False)
        repository.commit({})

        def add(files):
            hub.large |= {object_id(content): content for content in files.values()}
            repository.commit(repository.files | files)

        files = (path for path in sorted(calls.rglob("*")) if path.is_file())
        add({path.relative_to(calls).as_posix(): path.read_bytes() for path in files})
        fsspec.get_filesystem_class("hf").clear_instance_cache()
        yield add


def test_an_archive_on_the_hub_gives_the_rows_of_a_folder(planned, commit, tmp_path):
    rows = finish(planned("hf://someone/calls", tmp_path / "from_hub"))
    assert rows.equals(finish(planned()))
    assert len(rows) == 7
    assert rows["error"].notna().sum() == 1


def test_a_file_that_was_replaced_on_the_hub_is_an_error_row(planned, commit, calls, tmp_path):
    folder = planned("hf://someone/calls", tmp_path / "from_hub")
    commit({"day 0/2.wav": (calls / "day 0/2.wav").read_bytes()[:-2] + b"\1\1"})
    fsspec.get_filesystem_class("hf").clear_instance_cache()  # as in the process of another worker
    rows = finish(folder).set_index("key")
    assert "has changed: expected the version" in rows.loc["day 0/2.wav", "error"]
    assert rows["error"].notna().sum() == 2
