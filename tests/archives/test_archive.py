"""From an archive to its table: the four commands, and the rows."""

import io
import json
import tarfile
from dataclasses import replace

import datasets
import duckdb
import fsspec
import pandas
import pytest
from pandas.testing import assert_frame_equal

from ser_hf.archives import merge_parts, run, verify
from ser_hf.archives.job import done_shards, read_job
from ser_hf.archives.listing import Audio
from ser_hf.archives.manifest import Manifest, build_manifest, write_manifest
from ser_hf.archives.store import Store
from ser_hf.archives.worker import ShardReport, ShardWorker
from ser_hf.cli import main
from ser_hf.serving import EmotionClassifier

from .conftest import InlineWorker


def finish(folder):
    """Run and verify a job, and return its rows."""
    assert not run(str(folder), [InlineWorker(folder)]).failed
    assert not verify(str(folder)).faults
    merge_parts(str(folder), f"{folder}/out.parquet")
    with fsspec.open(f"{folder}/out.parquet") as file:
        return pandas.read_parquet(io.BytesIO(file.read()))


def parts(folder):
    store = Store(str(folder))
    return {name: store.read(f"parts/{name}") for name in store.names("parts") if name.startswith("part-")}


def test_the_table_of_an_archive_is_the_table_of_predict(model, calls, tmp_path, archive, capsys):
    assert archive("plan", calls, tmp_path / "job", "--model", model, "--shard_bytes", 30_000) == 0
    assert "7 files, 0.086 MB, 4 shards" in capsys.readouterr().out
    assert archive("run", tmp_path / "job", "--workers", 1, "--price", 2) == 0
    assert "Done: 4 of 4 open shards." in (text := capsys.readouterr().out) and "which cost" in text
    assert archive("merge", tmp_path / "job", tmp_path / "out.parquet") == 2
    assert "is not verified" in capsys.readouterr().err
    assert archive("verify", tmp_path / "job") == 0
    assert "7 files (1 with errors), 7 rows, 0.00 h" in capsys.readouterr().out
    assert archive("merge", tmp_path / "job", tmp_path / "out.parquet") == 0
    main(["predict", str(calls), "--model", str(model), "--output", str(tmp_path / "calls.parquet")])
    expected = pandas.read_parquet(tmp_path / "calls.parquet").rename(columns={"path": "key"})
    for column in ("key", "error"):
        expected[column] = expected[column].str.replace(f"{calls}/", "")
    rows = pandas.read_parquet(tmp_path / "out.parquet")
    assert_frame_equal(rows, expected[rows.columns], atol=5e-5)
    assert duckdb.sql(f"select count(*) from '{tmp_path}/out.parquet'").fetchall() == [(7,)]
    loaded = datasets.load_dataset("parquet", data_files=str(tmp_path / "out.parquet"), split="train")
    assert loaded["key"][:2] == ["day 0/0.wav", "day 0/2.wav"]


def test_the_price_of_audio_leaves_out_the_loading_of_the_model(planned, archive, capsys, monkeypatch):
    report = ShardReport(shard=0, files=1, errors=0, seconds=3_600.0, elapsed=36.0)
    monkeypatch.setattr(ShardWorker, "run", lambda self, shard, careful: report)
    assert archive("run", planned(), "--workers", 1, "--price", 2) == 0
    assert "1000 hours of audio take 10.00 hours of one worker, which cost 20.00." in capsys.readouterr().out


def test_a_foreign_file_among_the_parts_is_no_part(planned):
    folder = planned()
    for name in ("part-abc.parquet", "part-1.parquet", "part-000001.parquet.bak"):
        Store(str(folder)).add(f"parts/{name}", b"")
    assert done_shards(Store(str(folder))) == set()


def test_a_job_that_is_done_does_no_work_again_and_its_parts_are_named_by_shard(planned, monkeypatch):
    folder = planned()
    finish(folder)
    before = parts(folder)
    assert sorted(before) == [f"part-00000{i}.parquet" for i in range(4)]
    monkeypatch.setattr(InlineWorker, "start", lambda self: pytest.fail("a worker was started"))
    assert run(str(folder), [InlineWorker(folder)]).shards == 0
    assert parts(folder) == before
    sums = json.loads((folder / "_SUCCESS.json").read_text())
    assert (sums["files"], sums["rows"], sums["errors"]) == (7, 7, 1)
    assert 3600 * sums["hours"] == pytest.approx(6 * 0.3 + 0.04 * 15)


def test_shares_are_disjoint_and_give_the_same_parts_as_one_run(planned, tmp_path):
    folder = planned()
    run(str(folder), [InlineWorker(folder)], share=(1, 2))
    assert sorted(parts(folder)) == ["part-000001.parquet", "part-000003.parquet"]
    run(str(folder), [InlineWorker(folder)], share=(0, 2))
    finish(planned(folder=tmp_path / "other"))
    assert parts(folder) == parts(tmp_path / "other")


def test_an_object_store_gives_the_parts_of_a_folder(planned, calls, tmp_path):
    fs = fsspec.filesystem("memory")
    fs.put(f"{calls}/", "memory://bucket/calls/", recursive=True)
    finish(planned())
    finish(planned("memory://bucket/calls", "memory://bucket/job"))
    found, expected = parts("memory://bucket/job"), parts(tmp_path / "job")
    tables = [{name: pandas.read_parquet(io.BytesIO(part)) for name, part in job.items()} for job in (found, expected)]
    assert tables[0].keys() == tables[1].keys()
    for name in tables[0]:
        assert_frame_equal(tables[0][name], tables[1][name], check_exact=True)


def test_members_of_tar_files_have_the_rows_of_files(planned, calls, tmp_path):
    (tmp_path / "tars").mkdir()
    with tarfile.open(tmp_path / "tars/0.tar", "w") as tar:
        for path in sorted(calls.rglob("*.wav")):
            tar.add(path, path.relative_to(calls))
            tar.addfile(tarfile.TarInfo(f"{path.stem}.json"))
        tar.add(calls / "day 0/0.wav", "day 0/0.wav")
    (tmp_path / "tars/1.tar").write_bytes(b"no tar" * 1_000)
    rows = finish(planned(tmp_path / "tars"))
    rows["key"] = rows["key"].str.removeprefix("0.tar/")
    rows["error"] = rows["error"].str.replace("0.tar/", "")
    assert_frame_equal(rows, finish(planned(folder=tmp_path / "other")), atol=5e-5)


def test_windows_are_scored_as_parts_of_the_file(planned, model, tmp_path, write_audio):
    write_audio(tmp_path / "long/a.wav", seconds=5)
    rows = finish(planned(tmp_path / "long", rows="windows"))
    assert rows[["start", "end"]].to_numpy().tolist() == [[0, 2], [1, 3], [2, 4], [3, 5]]
    windows = [(str(tmp_path / "long/a.wav"), start, start + 2.0) for start in range(4)]
    predictions = EmotionClassifier.from_pretrained(model).predict_files(windows)
    assert rows["score_sad"].tolist() == pytest.approx([each.scores["sad"] for each in predictions], abs=5e-5)


def test_segments_are_those_of_the_timeline_and_a_silent_file_has_one_row(planned, model, tmp_path, write_audio):
    write_audio(tmp_path / "long/a.wav", seconds=5)
    write_audio(tmp_path / "long/b.wav", seconds=0.1)
    rows = finish(planned(tmp_path / "long", rows="segments", window=2.0))
    segments = list(EmotionClassifier.from_pretrained(model).timeline(tmp_path / "long/a.wav", window=2.0))
    assert rows["start"].tolist()[:-1] == [segment.start for segment in segments]
    assert rows["prediction"].tolist()[:-1] == [segment.emotion for segment in segments]
    assert rows["error"].tolist()[-1] == "'b.wav' contains no speech."


def test_a_tone_has_segments_by_energy_and_none_by_silero(planned, tmp_path, write_audio):
    pytest.importorskip("silero_vad")
    write_audio(tmp_path / "tone/a.wav", seconds=3)
    options = {"source": tmp_path / "tone", "rows": "segments"}
    assert finish(planned(folder=tmp_path / "energy", **options))["error"].isna().all()
    rows = finish(planned(folder=tmp_path / "silero", speech="silero", **options))
    assert rows["error"].tolist() == ["'a.wav' contains no speech."]


def test_the_detection_of_speech_is_part_of_the_job_and_of_its_identity(model, calls, tmp_path, archive):
    pytest.importorskip("silero_vad")
    identities = {}
    for speech in ("energy", "silero"):
        assert archive("plan", calls, tmp_path / speech, "--model", model, "--speech", speech) == 0
        job = read_job(Store(str(tmp_path / speech)))
        assert (job.settings.speech, job.model["speech"]) == (speech, speech)
        identities[speech] = job.identity()
    assert identities["energy"] != identities["silero"]


def test_shards_follow_the_sorted_keys_and_the_bytes(tmp_path):
    sizes = {"b": 40, "a": 70, "d": 500, "c": 60, "e": 1, "f": 99, "g": 1}
    table = build_manifest((Audio(key, size, "x") for key, size in sizes.items()), 100)
    assert table["key"].to_pylist() == list("abcdefg")
    assert table["shard"].to_pylist() == [0, 1, 1, 2, 3, 3, 4]
    write_manifest(table, tmp_path / "manifest.parquet")
    manifest = Manifest(tmp_path / "manifest.parquet")
    assert [each.key for each in manifest.read_shard(3)] == ["e", "f"]
    assert list(manifest.shards()) == [(0, ["a"]), (1, ["b", "c"]), (2, ["d"]), (3, ["e", "f"]), (4, ["g"])]


def test_a_shard_of_a_large_manifest_is_read_alone(tmp_path):
    found = [Audio(f"{i:05d}", 1, "x") for i in range(2_000)]
    write_manifest(build_manifest(found, 30), tmp_path / "manifest.parquet")
    manifest = Manifest(tmp_path / "manifest.parquet")
    assert manifest._file.num_row_groups == 17  # of 120 files or 4 shards
    for shard, keys in manifest.shards():
        assert (
            [each.key for each in manifest.read_shard(shard)]
            == keys
            == [f"{30 * shard + i:05d}" for i in range(len(keys))]
        )
    assert shard == 66


def test_the_settings_of_a_job_are_read_as_they_were_written(planned):
    job = read_job(Store(str(planned(rows="windows", batch_size=3))))
    assert (job.settings.rows, job.settings.batch_size, job.shards, job.files) == ("windows", 3, 4, 7)
    assert replace(job, manifest="other").identity() != job.identity()
