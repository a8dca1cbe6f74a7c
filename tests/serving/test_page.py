import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
import soundfile
from architectures import feature_extractor, tiny_model
from gradio_client import Client, handle_file

from ser_hf.serving import EmotionClassifier, page, page_jobs, recording_report
from ser_hf.serving.emotion_segments import Segment
from ser_hf.serving.page_jobs import CancelledError, Jobs
from ser_hf.serving.segment_summary import summarize
from ser_hf.tasks.categories import answer

RATE = 16_000


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    tiny_model("wav2vec2-layer").save_pretrained(folder)
    feature_extractor("wav2vec2-layer").save_pretrained(folder)
    return EmotionClassifier.from_pretrained(folder)


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    path = tmp_path_factory.mktemp("audio") / "talk.wav"
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 2 * RATE))
    soundfile.write(path, np.concatenate([noise[0], np.zeros(RATE), noise[1]]), RATE)
    return str(path)


@pytest.fixture(scope="module")
def served(classifier, talk, tmp_path_factory):
    """Serve a page that takes 1 MB, and record whom this process talks to."""
    with pytest.MonkeyPatch.context() as patch:
        peers, connect = set(), socket.socket.connect
        patch.setattr(socket.socket, "connect", lambda self, peer: peers.add(peer[0]) or connect(self, peer))
        patch.setattr(page, "LARGEST", "1mb")
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        blocks = page.build_page(classifier, examples=[talk])
        yield page.serve_page(blocks), peers
        blocks.close()


def test_a_recording_gets_every_score_a_figure_lanes_and_files_of_all_formats(classifier, talk):
    report = recording_report.analyse(classifier, talk)
    segments = list(classifier.timeline(talk))
    summary = summarize(segments, answer)
    assert report.bars == summary.scores and set(report.bars) == set(classifier.emotions)
    emotion = max(report.bars, key=report.bars.get)
    assert report.words.startswith(
        f"## {emotion.capitalize()}\n{100 * report.bars[emotion]:.1f} %, the mean over the speech"
    )
    assert Path(report.files[0]).read_bytes().startswith(b"\x89PNG")
    assert [row[:2] for row in report.rows] == [
        [f"0:{segment.start:04.1f}", f"0:{segment.end:04.1f}"] for segment in segments
    ]
    assert report.lanes.count("<button") == len(segments)
    assert [Path(file).name for file in report.files] == [
        "talk.png", "talk.csv", "talk.json", "talk.jsonl", "talk.txt", "talk.vtt", "talk.rttm", "talk.TextGrid",
        "talk.eaf",
    ]  # fmt: skip
    assert len(Path(report.files[1]).read_text().splitlines()) == len(segments) + 1
    assert Path(report.files[5]).read_text().startswith("WEBVTT")


def test_a_second_analysis_leaves_the_files_of_the_first(classifier, talk):
    first, second = (recording_report.analyse(classifier, talk) for _ in range(2))
    assert Path(first.files[0]).exists() and first.files[0] != second.files[0]


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    """A call in stereo: the first speaker for 2 s, then the other one."""
    path = tmp_path_factory.mktemp("call") / "call.wav"
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE)
    silence = np.zeros(3 * RATE)
    soundfile.write(path, np.stack([np.r_[noise, silence], np.r_[silence, noise]], axis=1), RATE)
    return str(path)


def test_each_channel_of_a_call_has_a_lane_and_an_answer(classifier, call):
    report = recording_report.analyse(classifier, call, separate=True)
    assert [row[2].split(": ")[0] for row in report.rows] == ["channel 1", "channel 2"]
    assert report.words.startswith("## channel 1: ") and "\n## channel 2: " in report.words
    assert report.words.count("changes per minute") == 2 and "averaged" not in report.words
    assert report.bars is None
    assert report.lanes.count('class="lane"') == 2
    assert 'aria-label="channel 2"' in report.lanes
    together = recording_report.analyse(classifier, call)
    assert together.words.endswith("The recording has 2 channels, which were averaged.")
    assert together.lanes.count('class="lane"') == 1


def test_a_file_of_speakers_names_them_and_its_faults_are_words(classifier, call, tmp_path):
    turns = tmp_path / "turns.csv"
    turns.write_text("start,end,speaker\n0,2,Anna\n3,5,<b>{{Bo}}\n")
    report = recording_report.analyse(classifier, call, speakers=str(turns))
    assert [row[2].split(": ")[0] for row in report.rows] == ["Anna", "<b>{{Bo}}"]
    assert "<b>" not in report.lanes and "{{" not in report.lanes
    assert "<b>" not in report.words
    with pytest.raises(ValueError, match="exclude each other"):
        recording_report.analyse(classifier, call, speakers=str(turns), separate=True)
    turns.write_text("start,end,speaker\n30,32,Anna\n")
    with pytest.raises(ValueError, match="starts after the end of the audio"):
        recording_report.analyse(classifier, call, speakers=str(turns))


def test_progress_grows_over_the_channels_and_what_it_raises_stops_the_analysis(classifier, call, tmp_path):
    shares = []
    recording_report.analyse(classifier, call, separate=True, progress=shares.append)
    assert shares == [0.5, 1.0]

    def stop(share):
        raise CancelledError

    copy = tmp_path / "call.wav"
    copy.write_bytes(Path(call).read_bytes())
    with pytest.raises(CancelledError):
        recording_report.analyse(classifier, str(copy), progress=stop)
    assert list(tmp_path.iterdir()) == [copy]


def segment(start, end, emotion, score, *, uncertain=False):
    return Segment(start, end, emotion, score, uncertain, {emotion: score, "neutral": 1 - score})


def test_uncertain_answers_are_called_so():
    unsure = recording_report.describe(summarize([segment(0, 2, "<b>sad</b>", 0.68, uncertain=True)], answer), 0.6812)
    assert unsure.startswith("## Uncertain\nThe best guess is")
    assert "with 68.0 %" in unsure and "scores below 68.1 %" in unsure
    sure = recording_report.describe(summarize([segment(0, 2, "<b>sad</b>", 0.68)], answer), 0.6)
    assert "<b>" not in unsure and "<b>" not in sure
    assert recording_report.describe(summarize([segment(0, 2, "sad", 0.68)], answer), None) == (
        "## Sad\n68.0 %, the mean over the speech."
    )
    calibrated = SimpleNamespace(emotions=["sad"], uncertainty_threshold=0.6988, rating_scale=None)
    assert "Predictions below 69.9 % are marked as uncertain" in page._introduce(calibrated)


def test_a_recording_of_two_emotions_is_mixed_with_their_shares():
    two = [
        Segment(0.0, 4.0, "sad", 0.9, False, {"angry": 0.1, "sad": 0.9}),
        Segment(5.0, 8.0, "angry", 0.8, False, {"angry": 0.8, "sad": 0.2}),
    ]
    assert recording_report.describe(summarize(two, answer), 0.5) == (
        "## Mixed\nNo emotion has 60 % of the speech: sad 57 %, angry 43 %."
    )
    doubtful = [replace(each, uncertain=True) for each in two]
    words = recording_report.describe(summarize(doubtful, answer), 0.95)
    assert words.startswith("## Uncertain\nNo emotion has 60 % of the speech")
    assert words.endswith("with which this model is often wrong: do not rely on this answer.") and "guess" not in words


def test_recordings_that_cannot_be_recognised_are_refused_in_words(classifier, tmp_path):
    path = tmp_path / "bad.wav"
    path.write_text("no audio")
    with pytest.raises(ValueError, match="Cannot read"):
        recording_report.analyse(classifier, str(path))
    soundfile.write(path, np.zeros(RATE), RATE)
    with pytest.raises(ValueError, match="No speech found"):
        recording_report.analyse(classifier, str(path))
    soundfile.write(path, np.zeros(7_201 * 1_000), 1_000)
    with pytest.raises(ValueError, match="Expected a recording of at most 2 hours, found one of 2 h 1 min. Split it"):
        recording_report.analyse(classifier, str(path))
    with pytest.raises(ValueError, match="Upload or record"):
        recording_report.analyse(classifier, None)
    assert sorted(tmp_path.iterdir()) == [path]


def test_the_page_answers_by_its_queue_and_shows_no_folder_or_trace(served, talk, tmp_path):
    client = Client(served[0], verbose=False)
    words, *_, elan = client.predict(handle_file(talk), False, None, api_name="/recognise")
    assert words.startswith("## ") and "No result" not in words
    assert Path(elan["value"] if isinstance(elan, dict) else elan).suffix == ".eaf"
    text = tmp_path / "text <b>.wav"
    text.write_text("no audio")
    refusal = client.predict(handle_file(text), False, None, api_name="/recognise")[0]
    assert refusal.startswith("## No result\nCannot read 'text b.wav'")
    assert "/" not in refusal and "Traceback" not in refusal


def test_the_page_loads_nothing_from_other_hosts_and_calls_nobody(served):
    url, peers = served
    text = httpx.get(url).text + httpx.get(f"{url}theme.css").text
    linked = re.findall(r"""(?:<script[^>]*src=|<link[^>]*href=|url\(|@import )["']?(https?://[^"')]+)""", text)
    assert linked == []
    assert "text/css" in httpx.get(f"{url}theme.css").headers["content-type"]
    assert peers <= {"127.0.0.1"} and peers


def test_a_cancelled_analysis_stops_and_the_next_recording_gets_its_answer(classifier, talk, monkeypatch):
    reached, asked = Event(), []

    def wait(*_, progress, **options):
        reached.set()
        for _ in range(1000):
            progress(0.5)
            time.sleep(0.02)

    jobs, options = Jobs(classifier, "energy"), {"separate": False, "speakers": None}
    monkeypatch.setattr(page_jobs, "analyse", wait)
    with ThreadPoolExecutor() as pool:
        run = pool.submit(jobs.run, "a", talk, progress=asked.append, **options)
        reached.wait(10)
        jobs.stop("b")  # of somebody else
        time.sleep(0.1)
        assert not run.done()
        jobs.stop("a")
        with pytest.raises(CancelledError):
            run.result(10)
    jobs.stop("a")  # when nothing runs
    monkeypatch.undo()
    assert jobs.run("a", talk, progress=asked.append, **options).words.startswith("## ")


def test_the_end_of_a_cancelled_analysis_does_not_keep_the_next_one_from_being_cancelled(monkeypatch):
    started = {"first": Event(), "second": Event()}
    first_ends = Event()

    def wait(_, audio, *, progress, **options):
        started[audio].set()
        if audio == "first":
            first_ends.wait(10)
        for _ in range(500):
            progress(0.5)
            time.sleep(0.01)

    jobs, options = Jobs(None, "energy"), {"separate": False, "speakers": None, "progress": lambda share: None}
    monkeypatch.setattr(page_jobs, "analyse", wait)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(jobs.run, "a", "first", **options)
        started["first"].wait(10)
        jobs.stop("a")
        second = pool.submit(jobs.run, "a", "second", **options)
        started["second"].wait(10)
        first_ends.set()
        assert isinstance(first.exception(10), CancelledError)
        jobs.stop("a")
        assert isinstance(second.exception(10), CancelledError)
    assert jobs._stopped == {}


def test_limits_are_in_force(served, classifier):
    upload = {"files": ("big.wav", bytes(2_000_000))}
    assert httpx.post(f"{served[0]}gradio_api/upload", files=upload).status_code == 413
    blocks = page.build_page(classifier)
    assert blocks._queue.max_size == page.WAITING and blocks._queue.default_concurrency_limit == 1
    assert blocks.delete_cache[1] == page.KEPT
    assert not blocks.analytics_enabled


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:7860"}, 200),
        ({"host": "192.168.1.20:7860"}, 200),
        ({"host": "[::1]:7860"}, 200),
        ({"host": "evil.example"}, 403),
        ({"host": "evil.example:7860"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "localhost:7860", "origin": "http://localhost:7860"}, 200),
        ({"host": "localhost:7860", "origin": "http://localhost:8000"}, 403),
        ({"host": "localhost:7860", "origin": "http://evil.example"}, 403),
        ({"host": "localhost:7860", "origin": "null"}, 403),
        ({"host": "localhost:7860", "origin": "http://["}, 403),
        ({"host": "["}, 403),
    ],
)
def test_only_requests_to_its_own_address_and_origin_are_answered(served, headers, status):
    assert httpx.get(served[0], headers=headers).status_code == status
    call = httpx.post(f"{served[0]}gradio_api/call/recognise", json={"data": [None, False, None]}, headers=headers)
    assert call.status_code == status


SECRET = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
BAD_INPUTS = ([], [3], ["x"], [{}], [SECRET], [SECRET, False, None], [None, False, SECRET])


def test_bad_requests_leave_no_traceback_in_the_log(served, capfd, caplog):
    url = f"{served[0]}gradio_api"
    for data in BAD_INPUTS:
        event = httpx.post(f"{url}/call/recognise", json={"data": data}).json()["event_id"]
        answer = httpx.get(f"{url}/call/recognise/{event}", timeout=30).text
        assert "Expected a recording." in answer and "/etc" not in answer
    assert httpx.post(f"{url}/call/nothing", json={"data": []}).status_code == 400
    assert httpx.post(f"{url}/queue/join", json={"data": [], "fn_index": 99, "session_hash": "a"}).status_code == 400
    assert httpx.post(f"{url}/call/recognise", content=b"{").status_code == 422
    assert "Traceback" not in "".join(capfd.readouterr()) + caplog.text


def test_a_full_queue_is_a_sentence(served, classifier):
    blocks = page.build_page(classifier)
    url = page.serve_page(blocks)
    blocks._queue.max_size = 0
    answer = httpx.post(f"{url}gradio_api/call/recognise", json={"data": [None, False, None]})
    blocks.close()
    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("Queue is full.")


def test_a_port_in_use_is_said_without_the_settings_of_gradio():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"Expected a free port of this machine, found 127.0.0.1:{port} .*--port"):
            page.serve_page(None, port=port)
