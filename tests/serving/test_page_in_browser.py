"""The page as people meet it, in Chromium, at desktop and phone width; the pictures stay in pytest's folder."""

import numpy as np
import pytest
import soundfile
from architectures import feature_extractor, tiny_model

from ser_hf.serving import EmotionClassifier, page

pytestmark = pytest.mark.slow
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
PHRASES = ["03-01-05-02-01-01-20.flac", "03-01-08-02-01-01-20.flac"]  # angry, surprised


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    model = tiny_model("wav2vec2-layer")
    model.config.uncertainty_threshold = 0.99  # above its scores of the talk
    model.save_pretrained(folder)
    feature_extractor("wav2vec2-layer").save_pretrained(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        blocks = page.build_page(EmotionClassifier.from_pretrained(folder))
        yield page.serve_page(blocks)
        blocks.close()


@pytest.fixture(scope="module")
def talk(shared, tmp_path_factory):
    path = tmp_path_factory.mktemp("audio") / "talk.wav"
    phrases = [soundfile.read(shared / "data" / "ravdess" / "Actor_20" / name) for name in PHRASES]
    soundfile.write(path, [sample for waveform, _ in phrases for sample in waveform], phrases[0][1])
    return path


@pytest.fixture(params=SIZES)
def tab(request, browser, address, tmp_path):
    """Open the page at each size; take a picture of how the test left it."""
    width, height = SIZES[request.param]
    tab = browser.new_page(viewport={"width": width, "height": height})
    tab.hosts = set()
    tab.on("request", lambda sent: tab.hosts.add(sent.url.removeprefix("blob:").split("/")[2]))
    tab.goto(address)
    tab.get_by_role("button", name="Record audio").wait_for()
    yield tab
    tab.screenshot(path=tmp_path / f"{request.param}.png", full_page=True)
    assert tab.evaluate("document.documentElement.scrollWidth") == width  # nothing sticks out
    assert {host.split(":")[0] for host in tab.hosts} == {"127.0.0.1"}
    tab.close()


def give(tab, path):
    """Give a file to the page, and wait until it is there."""
    tab.locator("input[type=file]").first.set_input_files(path)
    tab.get_by_role("button", name="Clear").wait_for()


def test_an_uploaded_recording_is_recognised(tab, talk):
    give(tab, talk)
    tab.get_by_role("button", name="Recognise").click()
    tab.get_by_role("heading", name="Uncertain").wait_for()
    tab.wait_for_function("document.querySelector('#figure img')?.naturalWidth > 1000")
    text = tab.locator("body").inner_text()
    assert "The best guess is" in text and "do not rely on this answer" in text
    assert all(tab.get_by_text(emotion, exact=True).first.is_visible() for emotion in ("angry", "happy", "neutral"))
    tab.get_by_text("uncertain (").locator("visible=true").first.wait_for()  # a row of the table
    figure, around = (tab.locator(place).bounding_box() for place in ("#figure img", "#figure"))
    assert figure["width"] >= 780 and figure["x"] >= around["x"]  # legible, and its beginning in sight
    with tab.expect_download() as download:
        tab.get_by_role("button", name="CSV").click()
    assert download.value.suggested_filename == "talk.csv"
    assert download.value.path().read_text().startswith("start,end,emotion,score,uncertain,score_angry")


def test_a_bad_file_gets_a_clear_message_and_another_one_its_result(tab, talk, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_text("no audio")
    give(tab, bad)
    tab.get_by_role("button", name="Recognise").click()
    tab.get_by_role("heading", name="No result").wait_for()
    assert "Cannot read 'bad.wav': expected audio in a format of libsndfile" in tab.locator("#answer").inner_text()
    assert not tab.locator("#figure").is_visible()
    tab.get_by_role("button", name="Clear").click()
    tab.get_by_text("Upload or record speech").wait_for()
    give(tab, talk)
    tab.get_by_role("button", name="Recognise").click()
    tab.get_by_role("heading", name="Uncertain").wait_for()
    tab.locator("#figure img").wait_for()


def test_a_call_has_a_lane_per_channel_and_a_click_plays_only_the_segment(tab, talk, tmp_path):
    waveform, rate = soundfile.read(talk)
    call = tmp_path / "call.wav"
    soundfile.write(call, np.stack([np.r_[waveform, 0 * waveform], np.r_[0 * waveform, waveform]], axis=1), rate)
    give(tab, call)
    tab.get_by_text("Several speakers").click()
    tab.get_by_label("Each channel is a speaker").check()
    tab.get_by_role("button", name="Recognise").click()
    tab.get_by_role("heading", name="channel 2: ").wait_for()
    bar = tab.get_by_role("group", name="channel 2").get_by_role("button").first
    start, end = (float(bar.get_attribute(f"data-{name}")) for name in ("start", "end"))
    assert start >= len(waveform) / rate - 0.5
    bar.click()
    tab.wait_for_function("time => document.querySelector('#lanes audio').currentTime > time", arg=start)
    tab.wait_for_function("document.querySelector('#lanes audio').paused")
    assert end <= tab.evaluate("document.querySelector('#lanes audio').currentTime") < end + 1
    assert "channel 2: " in tab.locator("#lanes .playing").inner_text()


def test_cancel_stops_the_analysis_of_a_long_recording(tab, tmp_path):
    hour = tmp_path / "hour.wav"
    soundfile.write(hour, np.random.default_rng(0).normal(0, 0.1, 3600 * 16_000), 16_000, "PCM_16")
    give(tab, hour)
    tab.get_by_role("button", name="Recognise").click()
    tab.get_by_text("Analysing").wait_for()
    tab.get_by_role("button", name="Cancel").click()
    tab.get_by_text("Cancelled.").wait_for()
    tab.get_by_role("button", name="Cancel").wait_for(state="hidden")
    assert not tab.locator("#figure").is_visible()


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_keyboard_reaches_everything_and_starts_the_recognition(tab, talk, key):
    reached = []
    for _ in range(5):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.ariaLabel || document.activeElement.innerText"))
    assert [text.split("\n")[0] for text in reached] == [
        "Drop an audio file here to upload", "Upload file", "Record audio", "Several speakers", "Recognise",
    ]  # fmt: skip
    give(tab, talk)
    tab.get_by_role("button", name="Recognise").focus()
    tab.keyboard.press(key)
    tab.get_by_role("heading", name="Uncertain").wait_for()


def test_the_microphone_is_recorded_and_recognised(tab):
    tab.get_by_role("button", name="Record audio").click()
    tab.get_by_role("button", name="Record", exact=True).click()
    tab.wait_for_timeout(3000)
    tab.get_by_role("button", name="Stop").click()
    tab.get_by_role("button", name="Clear").wait_for()
    tab.get_by_role("button", name="Recognise").click()
    tab.locator("#figure img").wait_for()
