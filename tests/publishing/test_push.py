"""The real client of the Hub against a stand-in on this machine, over a network that fails in every way."""

import logging

import numpy as np
import pytest
import yaml
from huggingface_hub import constants
from huggingface_hub.utils import logging as hub_logging
from publishing.hub_server import TOKEN

from ser_hf.publishing import retry
from ser_hf.publishing.upload import push

RECIPE = {"corpus": "ravdess", "seed": 3, "num_train_epochs": 2}


@pytest.fixture
def waits(monkeypatch):
    """The seconds that were waited, had anybody waited."""
    waits = []
    monkeypatch.setattr("time.sleep", waits.append)
    monkeypatch.setattr(retry, "TIMEOUT", 0.3)
    return waits


@pytest.fixture
def files(tmp_path):
    def write(recipe=RECIPE):
        contents = {
            "README.md": b"# A model\n",
            "config.json": b"{}",
            "recipe.yaml": yaml.safe_dump(recipe).encode(),
            "model.safetensors": np.random.default_rng(0).bytes(1_000_000) + bytes(8),
        }
        for name, content in contents.items():
            (tmp_path / name).write_bytes(content)
        return {name: tmp_path / name for name in contents}

    return write


def send(files, **options):
    return push(files, "someone/tiny", token=TOKEN, **options)


def commits(hub):
    """Return the files of each commit after the one that made the repository."""
    repository = hub.repositories.get("someone/tiny")
    return list(repository.commits.values())[1:] if repository else []


def count(hub, step):
    return [name for name, _ in hub.requests].count(step)


def is_held(hub, files):
    held = hub.repositories["someone/tiny"].files
    return all(held.get(name) == path.read_bytes() for name, path in files.items())


def test_a_push_is_one_commit_to_a_private_repository(hub, files):
    send(files())
    assert hub.repositories["someone/tiny"].private
    assert len(commits(hub)) == 1
    assert is_held(hub, files())


def test_the_token_does_not_go_to_the_storage_of_large_files(hub, files):
    send(files())
    assert dict(hub.requests)["upload"] is None
    assert dict(hub.requests)["commit"] == f"Bearer {TOKEN}"


def test_a_second_push_of_the_same_files_makes_no_commit(hub, files):
    assert send(files()) == send(files())
    assert len(commits(hub)) == 1


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        *((step, status) for step in ("create", "info", "validate", "commit") for status in (429, 500)),
        ("validate", 502), ("preupload", 429), ("batch", 503), ("upload", 500), ("verify", 500),
        ("create", "silence"), ("info", "silence"), ("upload", "silence"), ("commit", "silence"),
        ("upload", "cut"), ("commit", "cut"), ("commit", "lost"), ("commit", 409), ("commit", "overtaken"),
    ],
)  # fmt: skip
def test_a_passing_fault_is_survived_by_one_commit(hub, waits, files, step, fault):
    hub.fail_next(step, fault)
    send(files())
    assert waits
    assert hub.faults == []
    assert is_held(hub, files())
    assert [commit for commit in commits(hub) if "config.json" in commit] == commits(hub)[-1:]
    assert ("theirs.txt" in commits(hub)[-1]) == (fault == "overtaken")


@pytest.mark.parametrize(
    ("step", "fault", "error", "message"),
    [
        ("create", 500, ConnectionError, r"'someone/tiny' \(500\): run again later"),
        ("commit", 500, ConnectionError, r"\(500\): run again later"),
        ("commit", 429, ConnectionError, r"\(429\): too many requests to the Hub"),
        ("commit", "silence", ConnectionError, r"\(ReadTimeout\): run again later"),
        ("commit", 409, FileExistsError, r"\(409\): there are other commits at the same time"),
        ("commit", "overtaken", FileExistsError, r"\(412\): there are other.*Message of the Hub: A commit has"),
        ("upload", "cut", ConnectionError, r"\(\w+Error\): run again later"),
        ("upload", 500, ConnectionError, r"\(500\): run again later"),
    ],
)
def test_a_lasting_fault_is_told_and_nothing_is_published(hub, waits, files, step, fault, error, message):
    hub.fail_next(step, fault, times=30)
    with pytest.raises(error, match=message) as raised:
        send(files())
    assert not any("config.json" in commit for commit in commits(hub))
    assert TOKEN not in str(raised.value)
    assert 5 <= count(hub, step) <= 6


@pytest.mark.parametrize("step", ["create", "info", "preupload", "commit"])
@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (401, PermissionError, "the access token is invalid. Run `hf auth login`"),
        (403, PermissionError, "no write permission there. Expected a token with the role 'write'"),
        (404, FileNotFoundError, "the repository does not exist"),
        (400, ConnectionError, "Message of the Hub: as the test wants it"),
    ],
)
def test_a_refusal_is_told_in_plain_words_at_once(hub, waits, files, step, status, error, message):
    hub.fail_next(step, status)
    with pytest.raises(error, match=message):
        send(files())
    assert waits == []
    assert commits(hub) == []


def test_an_unknown_token_is_refused(hub, files):
    with pytest.raises(PermissionError, match="401.*token is invalid"):
        push(files(), "someone/tiny", token="hf_unknown")
    assert hub.repositories == {}


@pytest.mark.parametrize("headers", [{"Retry-After": "37"}, {"ratelimit": '"api";r=0;t=36'}])
def test_a_busy_hub_is_left_alone_for_as_long_as_it_asks(hub, waits, files, headers):
    hub.fail_next("commit", 429, headers=headers)
    send(files())
    assert waits == [37]


def test_a_hub_that_asks_for_a_day_is_told_at_once(hub, waits, files):
    hub.fail_next("commit", 429, headers={"Retry-After": "86400"})
    with pytest.raises(ConnectionError, match="too many requests"):
        send(files())
    assert waits == []


@pytest.mark.parametrize("recipe", [b"- a\n", b"", b"a: [\n"])
def test_a_recipe_that_is_not_from_ser_hf_is_refused(hub, files, recipe):
    send(files())
    repository = hub.repositories["someone/tiny"]
    repository.commit(repository.files | {"recipe.yaml": recipe})
    with pytest.raises(ValueError, match=r"recipe.yaml that was not made with ser_hf"):
        send(files())


def test_another_recipes_model_is_refused_with_the_keys_that_differ(hub, files):
    send(files())
    with pytest.raises(ValueError, match=r"model of another recipe \(corpus: ravdess there, urdu here; seed: 3 there"):
        send(files(RECIPE | {"corpus": "urdu", "seed": 4}))
    assert len(commits(hub)) == 1


def test_more_epochs_make_no_other_recipe(hub, files):
    send(files())
    send(files(RECIPE | {"num_train_epochs": 9}))
    assert len(commits(hub)) == 2


def test_asked_to_overwrite_it_replaces_that_model_and_leaves_what_others_put_there(hub, files):
    send(files())
    repository = hub.repositories["someone/tiny"]
    repository.commit(repository.files | {"notes.txt": b"theirs", "head.skops": b"an earlier probe"})
    other = files(RECIPE | {"corpus": "urdu"})
    send(other, overwrite=True)
    assert is_held(hub, other)
    assert repository.files["notes.txt"] == b"theirs"
    assert "head.skops" not in repository.files


def test_a_model_that_is_not_from_ser_hf_is_refused(hub, files):
    send(files())
    repository = hub.repositories["someone/tiny"]
    repository.commit({"pytorch_model.bin": b"theirs"})
    with pytest.raises(ValueError, match=r"not made with ser_hf \(pytorch_model.bin\)"):
        send(files())


def test_a_repository_that_is_open_to_all_is_not_taken_for_private(hub, files):
    send(files(), public=True)
    assert not hub.repositories["someone/tiny"].private
    with pytest.raises(ValueError, match="'someone/tiny' is public: expected a private"):
        send(files())


def test_a_private_repository_stays_private(hub, files, caplog):
    send(files())
    send(files(RECIPE | {"num_train_epochs": 9}), public=True)
    assert hub.repositories["someone/tiny"].private
    assert "already exists and stays private" in caplog.text


def test_the_token_is_in_no_log_line(hub, waits, files, caplog, monkeypatch):
    monkeypatch.setattr(constants, "HF_DEBUG", True)  # the client logs whole requests
    hub_logging.enable_propagation()
    for name in ("", "huggingface_hub", "httpx2", "httpcore2", "ser_hf"):
        caplog.set_level(logging.DEBUG, logger=name)
    for step, fault in (("create", 500), ("upload", "cut"), ("commit", "silence"), ("commit", 429)):
        hub.fail_next(step, fault)
    send(files())
    hub_logging.disable_propagation()
    assert "<TOKEN>" in caplog.text
    assert "next attempt in" in caplog.text
    assert TOKEN not in caplog.text
