import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from ser_hf.corpora import Utterance, load_corpus
from ser_hf.corpora.speech_synthesis import synthesize
from ser_hf.data.audit import (
    audit_split,
    describe_findings,
    find_identical_audio,
    find_shared_speakers,
    find_similar_names,
    findings_as_json,
    is_bad,
)
from ser_hf.data.splits import split_by_protocol


@pytest.fixture
def speak(tmp_path):
    """Write an utterance, ``speak(name, speaker, emotion, take)``, and return it; other fields by keyword."""

    def write(name, speaker=1, emotion="sad", take=0, waveform=None, **fields):
        path = tmp_path / name
        waveform = synthesize("sad", speaker, 1, seed=take) if waveform is None else waveform
        soundfile.write(path, np.round(32_767 * waveform).astype(np.int16), 16_000)  # equal samples in any format
        fields = {"corpus": "toy", "emotion": emotion, "speaker": str(speaker)} | fields
        return Utterance(path=str(path), **fields)

    return write


def of_kind(findings, kind):
    return [finding for finding in findings if finding.kind == kind]


def test_a_sound_split_yields_nothing(speak):
    split = {part: [speak(f"{part}{i}.wav", speaker, take=i) for i in (0, 1)] for speaker, part in enumerate("abc", 1)}
    assert audit_split(split) == []
    assert not is_bad([])
    assert describe_findings([], ".") == "Nothing found."


def test_a_speaker_in_two_parts_is_a_leak(speak):
    one, other, third = (speak(f"{i}.wav", take=i) for i in range(3))
    (finding,) = find_shared_speakers({"train": [one, other], "validation": [], "test": [third]})
    assert (finding.severity, finding.parts) == ("leak", ("train", "test"))
    assert finding.utterances == (one.path, third.path)
    assert finding.detail == "speaker 1 of toy: 2 utterances in train and 1 utterance in test"
    assert is_bad([finding])


def test_equal_names_in_two_corpora_are_two_speakers(speak):
    split = {"train": [speak("a.wav", corpus="one")], "test": [speak("b.wav", take=1, corpus="other")]}
    assert find_shared_speakers(split) == []


def test_unknown_speakers_are_noted_and_are_no_leak(speak):
    split = {"train": [speak("a.wav", take=0)], "test": [speak("b.wav", take=1)]}
    split = {part: [replace(utterance, speaker=None) for utterance in rows] for part, rows in split.items()}
    (finding,) = find_shared_speakers(split)
    assert finding.severity == "note"
    assert "unknown speakers of toy" in finding.detail


def test_a_copy_in_another_part_is_a_leak(speak):
    split = {"train": [speak("a.wav", 1)], "test": [speak("b.wav", 2), speak("renamed.flac", 1)]}
    (finding,) = find_identical_audio(split)
    assert (finding.severity, finding.parts) == ("leak", ("train", "test"))
    assert finding.utterances == (split["train"][0].path, split["test"][1].path)
    assert is_bad([finding])


@pytest.mark.parametrize(
    ("fields", "severity"),
    [({"emotion": "angry"}, "fault"), ({"speaker": "2"}, "fault"), ({"corpus": "other"}, "fault"), ({}, "note")],
)
@pytest.mark.parametrize("volume", [1, 0.5])
def test_one_recording_under_two_labels_fails_without_a_split(speak, volume, fields, severity):
    waveform = synthesize("sad", 1, 1)
    copy = replace(speak("b.wav", waveform=volume * waveform), **fields)
    findings = audit_split({"all": [speak("a.wav", waveform=waveform), copy]})
    (finding,) = [finding for finding in findings if "identical" in finding.kind]
    assert finding.kind == ("identical audio" if volume == 1 else "near-identical audio")
    assert finding.severity == severity
    assert is_bad(findings) == (severity == "fault")


def test_a_copy_without_speaker_contradicts_nobody(speak):
    copy = replace(speak("b.wav"), speaker=None)
    assert [finding.severity for finding in find_identical_audio({"all": [speak("a.wav"), copy]})] == ["note"]


def test_a_shared_sentence_is_one_note_per_two_parts(speak):
    texts = {"train": ["Dogs are sitting.", "It's late"], "test": ["dogs are  sitting", "its late!", "new"]}
    split = {
        part: [speak(f"{part}{i}.wav", speaker, take=i, text=text) for i, text in enumerate(texts[part])]
        for speaker, part in enumerate(texts, 1)
    }
    (finding,) = audit_split(split)
    assert (finding.kind, finding.severity) == ("shared sentence", "note")
    assert finding.detail.startswith("2 sentences (such as '")
    assert finding.detail.endswith("2 utterances in train and 2 utterances in test")
    assert not is_bad([finding])


def test_vowel_signs_tell_sentences_apart(speak):
    split = {"train": [speak("a.wav", 1, text="किताब")], "test": [speak("b.wav", 2, text="कतब")]}
    assert audit_split(split) == []


def test_a_shared_session_is_a_note(speak):
    split = {"train": [speak("a.wav", 1, session="05")], "test": [speak("b.wav", 2, session="05")]}
    (finding,) = audit_split(split)
    assert (finding.kind, finding.severity) == ("shared session", "note")


def test_an_emotion_of_one_speaker_is_noted(speak):
    rows = [
        speak("a.wav", 1),
        speak("b.wav", 2),
        speak("c.wav", 2, "angry", take=1),
        speak("d.wav", 2, "angry", take=2),
    ]
    (finding,) = of_kind(audit_split({"all": rows}), "one speaker")
    assert finding.severity == "note"
    assert finding.detail == "2 utterances with angry, all by speaker 2"


def test_a_clipped_file_is_told_from_a_loud_one(speak):
    waveform = synthesize("angry", 1, 1) / np.abs(synthesize("angry", 1, 1)).max()
    loud, clipped = speak("loud.wav", waveform=waveform), speak("clipped.wav", waveform=np.clip(4 * waveform, -1, 1))
    (finding,) = of_kind(audit_split({"all": [loud, clipped, speak("b.wav", 2)]}), "clipped")
    assert finding.utterances == (clipped.path,)
    assert finding.severity == "note"


def test_silent_files_are_faults_and_no_copies_of_one_another(speak):
    rows = [speak(f"{i}.wav", i, waveform=np.zeros(8_000)) for i in (1, 2)]
    noise = np.random.default_rng(0).uniform(-5e-4, 5e-4, 8_000)
    findings = audit_split({"all": [*rows, speak("faint.wav", waveform=noise)]})
    assert [(finding.kind, finding.severity) for finding in findings] == [("silent", "fault")] * 3
    assert not is_bad(findings)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.wav", "truncated"),
        ("a.aiff", "truncated"),
        ("a.mp3", "truncated"),
        ("a.flac", "truncated"),
        ("a.ogg", "truncated"),
    ],
)
def test_a_file_that_breaks_off_is_a_fault(tmp_path, name, kind):
    soundfile.write(tmp_path / name, np.tile(synthesize("sad", 1, 1), 3), 16_000)
    whole = Utterance(path=str(tmp_path / name), corpus="toy", emotion="sad")
    assert audit_split({"all": [whole]}) == []
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) * 6 // 10])
    (finding,) = audit_split({"all": [whole]})
    assert (finding.kind, finding.severity) == (kind, "fault")


def test_a_streamed_wav_of_unknown_size_is_whole(speak):
    utterance = speak("a.wav")
    content = bytearray(Path(utterance.path).read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    Path(utterance.path).write_bytes(content)
    assert of_kind(audit_split({"all": [utterance]}), "truncated") == []


def test_a_stretch_beyond_the_end_of_its_file_is_truncated(speak):
    utterance = replace(speak("a.wav"), start=0.5, end=9.0)
    (finding,) = of_kind(audit_split({"all": [utterance]}), "truncated")
    assert "the last 7." in finding.detail


def test_missing_and_broken_files_are_unreadable_and_the_others_are_heard(tmp_path, speak):
    (tmp_path / "text.wav").write_text("not audio")
    broken = [Utterance(path=str(tmp_path / name), corpus="toy", emotion="sad") for name in ("text.wav", "gone.wav")]
    findings = audit_split({"train": [*broken, speak("a.wav", 1)], "test": [speak("b.wav", 1)]})
    assert [finding.utterances for finding in of_kind(findings, "unreadable")] == [(u.path,) for u in broken]
    assert len(of_kind(findings, "identical audio")) == 1


def test_files_that_no_utterance_claims_are_noted():
    (finding,) = audit_split({"all": []}, unnamed=["/data/interview.wav"])
    assert (finding.kind, finding.severity, finding.utterances) == ("wrongly named", "note", ("/data/interview.wav",))


def test_the_text_lists_the_gravest_first_and_names_a_few(tmp_path, speak):
    split = {"train": [speak("a.wav", text="one")], "test": [speak(f"b{i}.wav", 2, text="one") for i in range(1, 4)]}
    split["test"] += [speak(f"c{i}.wav") for i in range(1, 6)]
    lines = describe_findings(audit_split(split), tmp_path, limit=2).splitlines()
    assert lines[0] == "identical audio: 5 leaks"
    assert lines[1] == "  a.wav, c1.wav: sad by speaker 1 in train and sad by speaker 1 in test: the same samples"
    assert lines[3] == "  … and 3 more"
    assert lines[4] == "shared speaker: 1 leak"
    assert lines[6] == "identical audio: 2 notes"
    assert lines[7].startswith("  b1.wav, b2.wav: sad by speaker 2 in test")
    assert lines[9].startswith("shared sentence: 1 note")


def test_the_json_holds_every_field_with_relative_paths(tmp_path, speak):
    findings = audit_split({"train": [speak("a.wav")], "test": [speak("b.wav")]})
    rows = json.loads(findings_as_json(findings, tmp_path))
    assert [row["kind"] for row in rows] == ["shared speaker", "one speaker", "identical audio"]
    assert rows[2] == {
        "kind": "identical audio",
        "severity": "leak",
        "utterances": ["a.wav", "b.wav"],
        "parts": ["train", "test"],
        "detail": "sad by speaker 1 in train and sad by speaker 1 in test: the same samples",
    }


@pytest.mark.slow
def test_four_leaks_planted_in_ravdess_are_found_and_nothing_else(shared, tmp_path):
    split = split_by_protocol(load_corpus("ravdess", shared / "data" / "ravdess"), "emobox", 1)
    names = ("renamed.wav", "opus.ogg", "half.wav", "narrow.flac")
    originals = split["train"][100::200][:4]
    for name, original in zip(names, originals, strict=True):
        waveform, _ = soundfile.read(original.path)
        if name == "opus.ogg":
            high = soxr.resample(waveform, 16_000, 48_000)
            soundfile.write(tmp_path / name, high, 48_000, format="OGG", subtype="OPUS", compression_level=0.9)
        elif name == "narrow.flac":
            soundfile.write(tmp_path / name, soxr.resample(waveform, 16_000, 8_000), 8_000)
        else:
            soundfile.write(tmp_path / name, waveform * (0.5 if name == "half.wav" else 1), 16_000)
        split["test"].append(replace(original, path=str(tmp_path / name), speaker="01"))
    findings = audit_split(split)
    leaks = {finding.utterances: finding.kind for finding in findings if finding.severity == "leak"}
    kinds = ["identical audio"] + ["near-identical audio"] * 3
    assert leaks == {
        (original.path, str(tmp_path / name)): kind
        for original, name, kind in zip(originals, names, kinds, strict=True)
    }
    others = [finding for finding in findings if finding.severity != "leak"]
    assert {finding.severity for finding in others} == {"note"}
    assert len(of_kind(others, "shared sentence")) == 3
    # The corpus itself holds one recording twice: actor 07's second take of this sentence is a copy of the first.
    (twice,) = [finding.utterances for finding in others if finding.kind != "shared sentence"]
    assert [Path(path).stem for path in twice] == ["03-01-03-01-02-01-07", "03-01-03-01-02-02-07"]


@pytest.mark.parametrize(("other", "severity"), [("test", "leak"), ("train", "fault")])
def test_speakers_whose_names_differ_in_spelling_only_are_found(speak, other, severity):
    one, two = speak("a.wav", speaker=1), replace(speak("b.wav", speaker=2), speaker="Speaker-01")
    one = replace(one, speaker="speaker 1")
    (finding,) = find_similar_names({"train": [one, two]} if other == "train" else {"train": [one], "test": [two]})
    assert (finding.kind, finding.severity) == ("similar speakers", severity)
    assert finding.detail == "'Speaker-01' and 'speaker 1' may be one: expected one spelling"


def test_emotions_whose_names_differ_in_spelling_only_are_found(speak):
    rows = [speak("a.wav", emotion="angry"), speak("b.wav", 2, emotion="angry.")]
    assert [finding.kind for finding in find_similar_names({"all": rows})] == ["similar emotions"]


def test_an_unreadable_file_is_called_what_it_is_and_a_bad_row_has_its_reason(tmp_path, speak):
    (tmp_path / "page.wav").write_text("<!DOCTYPE html><title>Sign in</title>")
    page = Utterance(path=str(tmp_path / "page.wav"), corpus="toy", emotion="sad")
    bad = replace(speak("a.wav"), problem="Row 3: start: expected seconds")
    findings = of_kind(audit_split({"all": [page, bad, speak("a.wav")]}), "unreadable")
    assert [finding.detail.partition(": ")[0] for finding in findings] == [
        f"'{tmp_path}/page.wav' is not audio but an HTML page", "Row 3",
    ]  # fmt: skip
