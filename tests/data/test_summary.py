import json
from time import perf_counter

import pytest

from ser_hf.corpora import Utterance, load_corpus
from ser_hf.data import summary
from ser_hf.data.summary import choose_examples, describe_corpus, read_headers, summarize_corpus


def utterance(path, emotion="sad", **fields):
    return Utterance(**{"path": str(path), "corpus": "toy", "emotion": emotion, "speaker": "1"} | fields)


@pytest.fixture
def mixed(tmp_path, write_audio):
    """Two readable sad utterances, a stereo happy one of an unknown speaker, and a file that is no audio."""
    write_audio(tmp_path / "a.wav", seconds=1.0)
    write_audio(tmp_path / "b.flac", seconds=3.0)
    write_audio(tmp_path / "c.wav", seconds=2.0, rate=44_100, channels=2)
    (tmp_path / "d.wav").write_text("not audio")
    return [
        utterance(tmp_path / "a.wav", gender="female", language="en"),
        utterance(tmp_path / "b.flac", speaker="2", gender="male", language="en"),
        utterance(tmp_path / "c.wav", "happy", speaker=None),
        utterance(tmp_path / "d.wav", "happy", speaker="2", gender="male", language="de"),
    ]


def write_tones(folder, write_audio, seconds, emotion="sad", speakers="1"):
    """Write an utterance of each duration; the speakers take turns."""
    rows = []
    for place, duration in enumerate(seconds):
        path = folder / f"{emotion}_{place}.wav"
        write_audio(path, seconds=duration, rate=8_000)
        rows.append(utterance(path, emotion, speaker=speakers[place % len(speakers)]))
    return rows


def test_the_table_holds_the_labels_and_the_audio_of_every_utterance(mixed):
    table = read_headers(mixed)
    assert table["path"].tolist() == [row.path for row in mixed]
    assert table["emotion"].tolist() == ["sad", "sad", "happy", "happy"]
    assert table["readable"].tolist() == [True, True, True, False]
    assert table["duration"][:3].tolist() == [1.0, 3.0, 2.0]
    assert table["sampling_rate"][:3].tolist() == [16_000, 16_000, 44_100]
    assert table["channels"][:3].tolist() == [1, 1, 2]
    assert table["encoding"][:3].tolist() == ["WAV PCM_16", "FLAC PCM_16", "WAV PCM_16"]
    assert table.iloc[3][["duration", "sampling_rate", "channels", "encoding"]].isna().all()


def test_unreadable_utterances_are_counted_with_the_reason_of_the_first(mixed, tmp_path, caplog):
    read_headers([*mixed, utterance(tmp_path / "missing.wav")])
    assert "2 of 5 utterances have no readable audio" in caplog.text
    assert "d.wav" in caplog.text and "ffmpeg" in caplog.text


def test_a_segment_lasts_from_its_start_to_its_end_or_the_end_of_the_file(tmp_path, write_audio, caplog):
    write_audio(tmp_path / "a.wav", seconds=3.0)
    times = [(None, None), (0.5, 2.0), (2.0, 9.0), (None, 0.25), (4.0, 5.0)]
    table = read_headers(utterance(tmp_path / "a.wav", start=start, end=end) for start, end in times)
    assert table["duration"][:4].tolist() == [3.0, 1.5, 1.0, 0.25]
    assert table["readable"].tolist() == [True, True, True, True, False]
    assert "1 of 5" in caplog.text and "holds no sample" in caplog.text


def test_a_file_of_many_utterances_is_read_once(tmp_path, write_audio, monkeypatch):
    write_audio(tmp_path / "a.wav", seconds=3.0)
    opened, read_header = [], summary.read_header
    monkeypatch.setattr(summary, "read_header", lambda path: opened.append(path) or read_header(path))
    table = read_headers([utterance(tmp_path / "a.wav", start=i / 10) for i in range(20)])
    assert len(table) == 20 and table["readable"].all()
    assert opened == [str(tmp_path / "a.wav")]


def test_the_summary_counts_labels_of_all_and_audio_of_readable_utterances(mixed):
    found = summarize_corpus(read_headers(mixed))
    assert found["emotions"] == {
        "happy": {
            "utterances": 2, "hours": pytest.approx(2 / 3600), "speakers": 1, "genders": {"unknown": 1, "male": 1}
        },
        "sad": {
            "utterances": 2, "hours": pytest.approx(4 / 3600), "speakers": 2, "genders": {"female": 1, "male": 1}
        },
    }  # fmt: skip
    assert (found["utterances"], found["speakers"], found["hours"]) == (4, 2, pytest.approx(6 / 3600))
    assert (found["unknown_speaker"], found["unreadable"]) == (1, 1)
    assert found["genders"] == {"male": 2, "female": 1, "unknown": 1}
    assert found["sampling_rates"] == {"16000": 2, "44100": 1}
    assert found["channels"] == {"1": 2, "2": 1}
    assert found["encodings"] == {"WAV PCM_16": 2, "FLAC PCM_16": 1}
    assert found["languages"] == {"en": 2, "unknown": 1, "de": 1}
    assert found["corpora"] == {"toy": 4}
    assert json.loads(json.dumps(found)) == found


def test_durations_are_told_by_their_quantiles(tmp_path, write_audio):
    rows = write_tones(tmp_path, write_audio, [tenths / 10 for tenths in range(1, 22)])
    found = summarize_corpus(read_headers(rows))["durations"]
    assert found == pytest.approx({"min": 0.1, "5 %": 0.2, "median": 1.1, "95 %": 2.0, "max": 2.1})


def test_one_name_in_two_corpora_is_two_speakers(tmp_path, write_audio):
    write_audio(tmp_path / "a.wav")
    table = read_headers([utterance(tmp_path / "a.wav"), utterance(tmp_path / "a.wav", corpus="other")])
    assert summarize_corpus(table)["speakers"] == 2


def test_a_corpus_without_readable_audio_has_a_summary_too(tmp_path):
    found = summarize_corpus(read_headers([utterance(tmp_path / "missing.wav")]))
    assert (found["unreadable"], found["hours"], found["durations"], found["encodings"]) == (1, 0.0, {}, {})
    text = describe_corpus(found)
    assert "unreadable       1 of 1" in text
    assert "duration" not in text and "encoding" not in text


def test_the_description_is_a_table_of_aligned_columns(mixed):
    assert describe_corpus(summarize_corpus(read_headers(mixed))).splitlines() == [
        "emotion       utterances    share  hours  speakers  female  male  gender unknown",
        "happy                  2   50.0 %  0.001         1       0     1               1",
        "sad                    2   50.0 %  0.001         2       1     1               0",
        "all emotions           4  100.0 %  0.002         2       1     2               1",
        "",
        "duration         min 1.00 s, 5 % 1.10 s, median 2.00 s, 95 % 2.90 s, max 3.00 s",
        "sampling rate    16000 Hz (2), 44100 Hz (1)",
        "channels         1 (2), 2 (1)",
        "encoding         WAV PCM_16 (2), FLAC PCM_16 (1)",
        "language         en (2), unknown (1), de (1)",
        "corpus           toy (4)",
        "unknown speaker  1 of 4",
        "unreadable       1 of 4",
    ]


def test_a_corpus_of_unknown_genders_has_no_column_for_them(tmp_path, write_audio):
    write_audio(tmp_path / "a.wav")
    text = describe_corpus(summarize_corpus(read_headers([utterance(tmp_path / "a.wav")])))
    assert text.splitlines()[:2] == [
        "emotion       utterances    share  hours  speakers",
        "sad                    1  100.0 %  0.000         1",
    ]


def test_the_description_is_never_wider_than_110_characters():
    part = {"utterances": 1_234_567, "hours": 12_345.678, "speakers": 12_345}
    part["genders"] = {"female": 1_000_000, "male": 1_000_000, "unknown": 1_000_000}
    counts = {f"value_{i}": 1000 * i for i in range(40)}
    names = ("sampling_rates", "channels", "encodings", "languages", "corpora")
    found = {**part, "emotions": {f"{'long_' * 20}{i}": part for i in range(30)}, "durations": {"min": 1.0}}
    text = describe_corpus({**found, "unknown_speaker": 0, "unreadable": 0, **dict.fromkeys(names, counts)})
    assert 90 < max(map(len, text.splitlines())) <= 110
    assert text.split().count("value_39") == 5
    assert text.startswith("emotion  ")


def test_examples_are_of_median_duration_one_per_emotion(tmp_path, write_audio):
    rows = write_tones(tmp_path, write_audio, [1.0, 8.0, 0.4, 1.6, 2.4], "sad")
    rows += write_tones(tmp_path, write_audio, [0.2, 0.7, 1.9], "happy")
    chosen = choose_examples(rows)
    assert [(row.emotion, row.duration) for row in chosen] == [("happy", 0.7), ("sad", 1.6)]


def test_examples_come_from_different_speakers_where_possible(tmp_path, write_audio):
    rows = write_tones(tmp_path, write_audio, [1.0, 1.5, 1.7], "happy", speakers="112")
    rows += write_tones(tmp_path, write_audio, [1.0, 1.5, 1.7], "sad", speakers="112")
    assert [(row.speaker, row.duration) for row in choose_examples(rows)] == [("1", 1.5), ("2", 1.7)]
    two = choose_examples(rows, per_emotion=2)
    assert [(row.emotion, row.speaker) for row in two] == [("happy", "1"), ("happy", "2"), ("sad", "1"), ("sad", "2")]


def test_an_emotion_of_few_utterances_gives_the_readable_ones(tmp_path, write_audio):
    rows = write_tones(tmp_path, write_audio, [1.0, 1.5])
    chosen = choose_examples([*rows, utterance(tmp_path / "missing.wav")], per_emotion=5)
    assert sorted(row.duration for row in chosen) == [1.0, 1.5]


def test_the_seed_chooses_among_equals_in_any_order_of_the_files(tmp_path, write_audio):
    rows = write_tones(tmp_path, write_audio, [1.0] * 10)
    assert choose_examples(rows, seed=1) == choose_examples(rows[::-1], seed=1)
    assert len({choose_examples(rows, seed=seed)[0].path for seed in range(10)}) > 2


@pytest.mark.slow
def test_the_headers_of_a_real_corpus_take_less_than_a_second(shared):
    rows = list(load_corpus("ravdess", shared / "data" / "ravdess"))
    begin = perf_counter()
    table = read_headers(rows)
    assert perf_counter() - begin < 1
    assert summarize_corpus(table)["hours"] == pytest.approx(1.48, abs=0.01)
    assert len({row.speaker for row in choose_examples(rows)}) == 8


def test_an_emotion_without_readable_audio_is_named(mixed, tmp_path, caplog):
    (tmp_path / "e.wav").write_text("version https://git-lfs.github.com/spec/v1\n")
    bad = utterance(tmp_path / "a.wav", "bored", problem="Row 9")
    read_headers([*mixed[:2], utterance(tmp_path / "e.wav", "calm"), bad])
    assert "Emotions without any readable audio: ['bored', 'calm']" in caplog.text
    assert "2 of 4 utterances have no readable audio (first:" in caplog.text and "Git LFS" in caplog.text
