"""What a job does with bad inputs, dying workers, full disks and changes after planning."""

import errno
import json
import os
import shutil
import tarfile
from concurrent.futures import Future

import crashing_decoder
import fsspec
import pyarrow
import pytest
from architectures import feature_extractor, tiny_model
from faulty_disk import count_writes, run_until
from pyarrow import parquet

from ser_hf.archives import crashes, merge_parts
from ser_hf.archives.running import WorkerDied, run_shards
from ser_hf.archives.store import Store
from ser_hf.archives.worker import ShardReport, ShardWorker
from ser_hf.commands.archive import run_command

from .test_archive import finish, parts


class ScriptedWorker:
    """Answer the requests for each shard with the results of a list in turn, the last one forever."""

    def __init__(self, script):
        self.script, self.asked, self.starts = script, [], 0

    def start(self):
        self.starts += 1
        return self._answer(self.script.get("start", [None]))

    def run(self, shard, careful):
        self.asked.append((shard, careful))
        return self._answer(self.script.get(shard, [ShardReport(shard, 1, 0, 1.0, 1.0)]))

    def _answer(self, results):
        future = Future()
        result = results.pop(0) if len(results) > 1 else results[0]
        future.set_exception(result) if isinstance(result, Exception) else future.set_result(result)
        return future


def test_a_shard_whose_worker_died_is_run_with_care_and_given_up_after_three_deaths():
    died, failed = WorkerDied("exit code -11"), {}
    worker = ScriptedWorker({1: [died, ShardReport(1, 5, 1, 1.0, 1.0)], 2: [died]})
    assert sorted(report.shard for report in run_shards([0, 1, 2], [worker], failed)) == [0, 1]
    assert worker.asked == [(0, False), (1, False), (1, True), (2, False), (2, True), (2, True)]
    assert (worker.starts, failed) == (5, {2: "exit code -11"})


def test_a_store_that_fails_is_asked_again_and_a_full_disk_stops_at_once():
    hiccup, full = OSError("SlowDown"), OSError("The disk of '/job' is full (0.0 GB free).")
    worker = ScriptedWorker({0: [hiccup, hiccup, ShardReport(0, 1, 0, 1.0, 1.0)]})
    assert [report.shard for report in run_shards([0, 1], [worker], {})] == [1, 0]
    assert worker.asked == [(0, False), (1, False), (0, False), (0, False)]
    for error, times in ((hiccup, 3), (full, 1), (ValueError("the model has changed"), 1)):
        worker = ScriptedWorker({0: [error]})
        with pytest.raises(type(error)):
            list(run_shards([0], [worker], {}))
        assert worker.asked == [(0, False)] * times


def test_workers_that_die_with_the_model_stop_the_run_and_one_that_waits_does_not_delay_it():
    worker = ScriptedWorker({"start": [WorkerDied("exit code -9")]})
    with pytest.raises(RuntimeError, match="while it loaded the model"):
        list(run_shards([0], [worker], {}))
    waiting = ScriptedWorker({})
    waiting.start = Future  # of a machine that the cluster does not have
    assert len(list(run_shards([0, 1], [waiting, ScriptedWorker({})], {}))) == 2


@pytest.mark.parametrize("fault", ["killed", "full"])
def test_a_fault_at_any_write_of_a_part_leaves_it_whole_or_absent(planned, tmp_path, fault):
    folder = planned(folder=tmp_path / "jobs" / "job")
    worker, name = ShardWorker(str(folder)), "parts/part-000002.parquet"
    worker.run(2)
    content = (folder / name).read_bytes()
    shutil.rmtree(folder / "parts")

    def write_part():
        worker.store.add(name, content)

    writes = count_writes(write_part, [folder])
    assert writes >= 4  # the folder, the partial file, its flush, the renaming
    for write in range(writes):
        shutil.rmtree(folder / "parts")
        code = run_until(write_part, [folder], write, fault)
        assert code == 9 if fault == "killed" else code in (0, 2)
        found = parts(folder)
        assert found in ({}, {"part-000002.parquet": content})
        assert worker.run(2).files == (0 if found else 2)
        assert (folder / name).read_bytes() == content


def test_two_drivers_at_once_double_nothing(planned, tmp_path):
    folder = planned()
    first, second = (ShardWorker(str(folder)) for _ in range(2))
    assert [first.run(0).files, second.run(0).files, second.run(1).files, first.run(1).files] == [2, 0, 2, 0]
    finish(folder)
    finish(planned(folder=tmp_path / "other"))
    assert parts(folder) == parts(tmp_path / "other")
    store = Store("memory://bucket/two")
    assert [store.add("a", b"1"), store.add("a", b"2"), store.read("a")] == [True, False, b"1"]


@pytest.mark.parametrize("remote", [False, True])
def test_a_key_that_vanished_after_planning_is_an_error_row(planned, calls, remote):
    source = calls
    if remote:
        source = "memory://bucket/vanishing"
        fsspec.filesystem("memory").put(f"{calls}/", source, recursive=True)
    folder = planned(source)
    fs, root = fsspec.core.url_to_fs(str(source))
    fs.rm(f"{root}/day 0/2.wav")
    fs.pipe_file(f"{root}/day 1/3.wav", b"shorter")
    rows = finish(folder).set_index("key")
    assert rows["error"]["day 0/2.wav"] == (
        "'day 0/2.wav' has vanished since it was planned. Restore it, or plan a new job without it."
    )
    changed = "'day 1/3.wav' has changed: expected 13484 bytes as planned, found 7. Plan a new job for it."
    assert rows["error"]["day 1/3.wav"] == changed
    assert rows["error"].notna().sum() == 3


@pytest.mark.parametrize("tar", [False, True])
def test_a_file_that_was_replaced_by_one_of_the_same_size_is_an_error_row(planned, calls, tmp_path, tar):
    changed = calls / "day 1/3.wav"
    if tar:
        changed = tmp_path / "tars" / "calls.tar"
        changed.parent.mkdir()
        with tarfile.open(changed, "w") as file:
            file.add(calls / "day 1/3.wav", "3.wav")
    os.utime(changed, ns=(1_000, 1_000))
    folder = planned(changed.parent)
    changed.write_bytes(changed.read_bytes())
    os.utime(changed, ns=(2_000, 2_000))
    key = "calls.tar/3.wav" if tar else "3.wav"
    error = finish(folder).set_index("key")["error"]
    assert (
        error[key]
        == f"'{key}' has changed: expected the version '1000' as planned, found '2000'. Plan a new job for it."
    )
    assert error.notna().sum() == 1


def test_a_file_that_crashes_the_decoder_becomes_an_error_row(planned, calls, monkeypatch):
    (calls / "day 1/3.wav").write_bytes(b"crash" * 2_700)
    monkeypatch.setattr(crashes, "decode_all", crashing_decoder.decode)
    folder = planned()
    worker = ShardWorker(str(folder))
    shards = dict(worker.manifest.shards())
    for name in ("day 0/text.wav", "day 1/3.wav"):
        (shard,) = (shard for shard, keys in shards.items() if name in keys)
        worker.run(shard, careful=True)
    rows = finish(folder).set_index("key")
    assert rows["error"]["day 1/3.wav"].startswith("The decoder crashes on 'day 1/3.wav'")
    assert rows["error"].notna().sum() == 2


def test_a_store_without_audio_or_credentials_ends_in_one_sentence(model, tmp_path, archive, capsys, monkeypatch):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/a.txt").touch()
    fsspec.filesystem("memory").pipe("memory://bucket/texts/a.txt", b"1")
    monkeypatch.setattr("ser_hf.commands.archive.load_chosen_model", lambda options: None)
    monkeypatch.setattr("ser_hf.serving.predict.identify_model", lambda *arguments: {})
    for variable in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    for source, message in (
        (tmp_path / "empty", "No audio under"),
        ("memory://bucket/texts", "No audio under 'memory://bucket/texts'"),
        (tmp_path / "gone", "No folder"),
        ("memory://bucket/gone", "Nothing is stored under 'memory://bucket/gone'"),
        ("s3://bucket/calls", "No credentials for 's3://bucket/calls'"),
        ("nowhere://calls", "Protocol not known: nowhere"),
    ):
        assert archive("plan", source, tmp_path / "job", "--model", model) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "job").exists()


def test_a_job_is_not_planned_twice_and_not_run_without_plan(planned, model, calls, tmp_path, archive, capsys):
    folder = planned()
    assert archive("plan", calls, folder, "--model", model) == 2
    assert "has a job already" in capsys.readouterr().err
    for command in ("run", "verify"):
        assert archive(command, tmp_path / "other") == 2
        assert "No job in" in capsys.readouterr().err
    (folder / "job.json").write_text("{")
    assert archive("run", folder) == 2
    assert "job.json' is damaged" in capsys.readouterr().err


def test_a_manifest_edited_by_hand_is_refused(planned, archive, capsys):
    folder = planned()
    table = parquet.read_table(folder / "manifest.parquet")
    parquet.write_table(table.slice(1), folder / "manifest.parquet")
    for command in ("run", "verify"):
        assert archive(command, folder) == 2
        assert "has changed since the job was planned" in capsys.readouterr().err
    assert parts(folder) == {}


def test_a_model_that_changed_under_the_same_name_is_refused(planned, description, calls, tmp_path, archive, capsys):
    folder = planned()
    job = json.loads((folder / "job.json").read_text())
    tiny_model("whisper", emotions=("angry", "sad")).save_pretrained(tmp_path / "whisper")
    feature_extractor("whisper").save_pretrained(tmp_path / "whisper")
    (folder / "job.json").write_text(json.dumps(job | {"name": str(tmp_path / "whisper")}))
    assert archive("run", folder) == 2
    assert "is not the one with which the job was planned: fingerprint: expected" in capsys.readouterr().err
    assert parts(folder) == {}


def test_a_full_disk_stops_with_a_sentence_and_the_job_continues(planned, archive, capsys, monkeypatch):
    folder = planned()
    fsync, left = os.fsync, [2]

    def full(number):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(number)

    monkeypatch.setattr(os, "fsync", full)
    assert archive("run", folder) == 2
    assert "is full" in (text := capsys.readouterr().err) and "it continues where it stopped" in text
    assert len(parts(folder)) == 2
    monkeypatch.undo()
    finish(folder)


def test_verify_names_parts_that_are_missing_damaged_or_of_another_job(planned, tmp_path, archive, capsys):
    folder, other = planned(), planned(folder=tmp_path / "other", batch_size=2)
    assert archive("verify", folder) == 1
    assert "Not done: 4 shards (first: 0). Run the job again." in capsys.readouterr().out
    finish(folder)
    finish(other)
    (folder / "_SUCCESS.json").unlink()
    names = [folder / f"parts/part-00000{i}.parquet" for i in range(4)]
    names[0].write_bytes(b"damaged")
    shutil.copy(other / "parts/part-000001.parquet", names[1])
    table = parquet.read_table(names[2])
    parquet.write_table(table.slice(1), names[2])
    table = parquet.read_table(names[3])
    parquet.write_table(pyarrow.concat_tables([table, table]), names[3])
    assert archive("verify", folder) == 1
    text = capsys.readouterr().out
    for message in (
        "0.parquet is damaged",
        "1.parquet is of another job",
        "2.parquet has other keys",
        "3.parquet has 2 rows",
    ):
        assert message in text
    assert not (folder / "_SUCCESS.json").exists()


def test_a_part_that_changed_after_the_verification_is_not_merged(planned, tmp_path):
    folder = planned()
    finish(folder)
    (folder / "parts/part-000001.parquet").write_bytes(b"changed")
    with pytest.raises(ValueError, match="has changed since it was verified"):
        merge_parts(str(folder), str(tmp_path / "merged.parquet"))
    with pytest.raises(ValueError, match="expected a file with the extension .parquet"):
        merge_parts(str(folder), str(tmp_path / "merged.csv"))
    assert not (tmp_path / "merged.parquet").exists()


def test_settings_that_no_shard_could_use_are_refused_by_the_plan(planned, archive, calls, tmp_path, capsys):
    with pytest.raises(ValueError, match="window: expected a multiple of 1.0 s, found 2.5 s"):
        planned(rows="segments", window=2.5)
    for option, value, message in (
        ("--batch_size", 0, "batch_size: expected 1 or more, found 0"),
        ("--shard_bytes", 0, "shard_bytes: expected 1 or more, found 0"),
        ("--dtype", "auto", "dtype: expected float32, bfloat16 or int8"),
    ):
        with pytest.raises(SystemExit, match="2"):
            archive("plan", calls, tmp_path / "job", "--model", "nobody", option, value)
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        archive("run", tmp_path / "job", "--shard", "4/4")
    assert "expected I/N with I from 0 to N - 1, found 4/4" in capsys.readouterr().err
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--gpus", "1"], "gpus: expected 0 or more, and --ray; found 1"),
        (["--gpus", "-1", "--ray"], "gpus: expected 0 or more, and --ray; found -1"),
        (["--price", "-2"], "price: expected 0 or more, found -2"),
        (["--workers", "0"], "workers: expected 1 or more, found 0"),
    ],
)
def test_options_of_a_run_that_make_no_sense_are_refused(options, message, capsys):
    with pytest.raises(SystemExit):
        run_command(["job", *options])
    assert message in capsys.readouterr().err
