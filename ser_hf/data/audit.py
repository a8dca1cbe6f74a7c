"""Checks for problems that make scores wrong: leakage between parts of a split, contradictory labels, broken audio."""

import json
import math
import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations, groupby
from typing import Any, Literal

from ser_hf.corpora import Utterance
from ser_hf.corpora.files import pluralize
from ser_hf.corpora.name_forms import find_near_equal
from ser_hf.corpora.spelling import as_utf8, spell
from ser_hf.data.faults import find_faults
from ser_hf.data.fingerprint import find_identical, find_near_identical, map_in_threads
from ser_hf.data.segment_fit import describe_misfit
from ser_hf.data.single_emotions import describe_single_emotions
from ser_hf.data.splits import Split

OVERLAP = 0.05  # seconds; adjacent annotated segments may overlap by this much without a finding
SEVERITIES = ("leak", "fault", "note")

Member = tuple[str, Utterance]  # name of the part of the split, utterance
Kind = Literal[
    "shared speaker", "shared session", "identical audio", "near-identical audio", "overlapping audio",
    "shared sentence", "one speaker", "one emotion", "clipped", "silent", "truncated", "unreadable", "dead channel",
    "offset", "wrongly named", "times that do not fit", "similar speakers", "similar emotions",
]  # fmt: skip
Severity = Literal["leak", "fault", "note"]


@dataclass(frozen=True)
class Finding:
    """Describe one problem of a corpus or its split, or one fact worth knowing.

    Attributes:
        kind: Kind of finding; findings of one kind are listed together.
        severity: "leak" (leakage between parts: scores are too high), "fault" (an error in the data) or "note".
        utterances: Paths of the files: both files of a pair, or one example from each part.
        parts: The parts of the split that contain these files.
        detail: Explanation with numbers.

    Examples:
        >>> finding = Finding("silent", "fault", ("a.wav",), ("train",), "the peak is 0.00000 of full scale")
        >>> print(describe_findings([finding], "."))
        silent: 1 fault
          a.wav: the peak is 0.00000 of full scale
    """

    kind: Kind
    severity: Severity
    utterances: tuple[str, ...]
    parts: tuple[str, ...]
    detail: str


def audit_split(split: Split, *, unnamed: Sequence[str] = ()) -> list[Finding]:
    """Run all checks on a split; this decodes every utterance and stores the audio in the cache.

    Args:
        split: Utterances by part. Pass a corpus without a split as one part: ``{"all": utterances}``.
        unnamed: Audio files in the folder of the corpus that belong to no utterance.
    """
    findings = [Finding("wrongly named", "note", (path,), (), "this file belongs to no utterance") for path in unnamed]
    findings += find_shared_speakers(split) + _find_shared_sessions(split) + _find_shared_sentences(split)
    findings += _find_lone_speakers(split) + _find_single_emotions(split)
    findings += find_similar_names(split)
    findings += _find_misfitting_segments(split)
    faults, audible = _find_faults(split)
    copies = find_identical_audio(audible) + find_near_identical_audio(audible)
    timed = {part: [row for row in rows if not row.problem] for part, rows in split.items()}
    return findings + find_overlapping_audio(timed) + faults + copies


def is_bad(findings: Sequence[Finding]) -> bool:
    """Return whether there is a leak, or one recording is labelled with two speakers or two emotions."""
    return any(
        finding.severity == "leak" or (finding.severity == "fault" and finding.kind.endswith("identical audio"))
        for finding in findings
    )


def find_shared_speakers(split: Split) -> list[Finding]:
    """Find speakers that occur in two parts (leaks), and unknown speakers that may occur in two parts (notes)."""
    findings = []
    for parts, (corpus, speaker), both in _in_two_parts(split, lambda u: (u.corpus, u.speaker or "")):
        subject = f"speaker {speaker} of {corpus}:" if speaker else f"unknown speakers of {corpus}, possibly the same:"
        findings.append(_share("shared speaker", "leak" if speaker else "note", parts, both, subject))
    return findings


def find_similar_names(split: Split) -> list[Finding]:
    """Find speakers, and emotions, whose names differ in spelling only; speakers in two parts are leaks."""
    findings = []
    for kind, fields in (("similar speakers", "speaker"), ("similar emotions", "emotion")):
        members = {getattr(u, fields): (part, u) for part, u in reversed(_members(split)) if getattr(u, fields)}
        for names in find_near_equal(members):
            parts, rows = zip(*(members[name] for name in names), strict=True)
            severity = "leak" if len(set(parts)) > 1 and kind == "similar speakers" else "fault"
            detail = f"{' and '.join(map(repr, names))} may be one: expected one spelling"
            findings.append(Finding(kind, severity, tuple(row.path for row in rows), parts, detail))  # type: ignore[arg-type]
    return findings


def find_identical_audio(split: Split) -> list[Finding]:
    """Find utterances whose decoded samples are identical; silent utterances are not compared.

    A copy in another part is a leak. In the same part, a copy labelled with another speaker or emotion is a fault, and
    any other copy is a note.

    Raises:
        ValueError: If a file cannot be read.
    """
    members = _members(split)
    pairs = find_identical([utterance for _, utterance in members])
    return [_pair_finding("identical audio", members[i], members[j], "the same samples") for i, j in pairs]


def find_near_identical_audio(split: Split) -> list[Finding]:
    """Find re-encoded, rescaled or resampled copies of a recording; severities are those of `find_identical_audio`.

    Raises:
        ValueError: If a file cannot be read.
    """
    members = _members(split)
    findings = []
    for match in find_near_identical([utterance for _, utterance in members]):
        how = f"correlation {match.correlation:.2f} of the waveforms, shifted by {1000 * match.lag:.0f} ms"
        findings.append(_pair_finding("near-identical audio", members[match.one], members[match.other], how))
    return findings


def find_overlapping_audio(split: Split) -> list[Finding]:
    """Find overlapping segments of one file that are in two parts (leaks)."""
    by_file = defaultdict(list)
    for member in _members(split):
        by_file[os.path.realpath(member[1].path)].append(member)
    findings = []
    for members in by_file.values():
        members.sort(key=lambda member: member[1].start or 0.0)
        for i, (part, utterance) in enumerate(members):
            end = math.inf if utterance.end is None else utterance.end
            for other_part, other in members[i + 1 :]:
                shared = min(end, math.inf if other.end is None else other.end) - (other.start or 0.0)
                if shared <= OVERLAP:
                    break
                if other_part != part:
                    how = "to the end of the file" if math.isinf(shared) else f"for {shared:.2f} s"
                    one, two = (part, utterance), (other_part, other)
                    findings.append(_pair_finding("overlapping audio", one, two, f"segments of one file overlap {how}"))
    return findings


def describe_findings(findings: Sequence[Finding], root: str | os.PathLike, *, limit: int = 10) -> str:
    """Return the findings as text, most severe first: the number of each kind, then one finding per line.

    Args:
        findings: From `audit_split`.
        root: Folder of the corpus; paths are shown relative to it.
        limit: Maximum number of findings to list for each kind.
    """

    def rank(finding: Finding) -> tuple[int, str]:
        return SEVERITIES.index(finding.severity), finding.kind

    lines = []
    for (_, kind), alike in groupby(sorted(findings, key=rank), rank):
        group = list(alike)
        lines.append(f"{kind}: {pluralize(len(group), group[0].severity)}")
        for finding in (_relative(finding, root) for finding in group[:limit]):
            lines.append(f"  {', '.join(finding.utterances)}: {finding.detail}")
        if len(group) > limit:
            lines.append(f"  … and {len(group) - limit} more")
    return "\n".join(lines) or "Nothing found."


def findings_as_json(findings: Sequence[Finding], root: str | os.PathLike) -> str:
    """Return the findings as a JSON list of objects with the fields of `Finding`; paths are relative to `root`."""
    return json.dumps([asdict(_relative(finding, root)) for finding in findings], indent=2, ensure_ascii=False)


def _find_shared_sessions(split: Split) -> list[Finding]:
    shared = _in_two_parts(split, lambda u: u.session and (u.corpus, u.session))
    return [
        _share("shared session", "note", parts, both, f"session {session} of {corpus}:")
        for parts, (corpus, session), both in shared
    ]


def _find_shared_sentences(split: Split) -> list[Finding]:
    """Return one note per pair of parts, because all actors of an acted corpus read the same sentences by design."""
    by_parts = defaultdict(list)
    for parts, _, both in _in_two_parts(split, lambda u: u.text and _normalise(u.text)):
        by_parts[parts].append(both)
    findings = []
    for parts, shared in by_parts.items():
        sides = [[u for utterances in side for u in utterances] for side in zip(*shared, strict=True)]
        example = f"{pluralize(len(shared), 'sentence')} (such as '{sides[0][0].text}')"
        subject = f"{example}, by design if all speakers read the same list:"
        findings.append(_share("shared sentence", "note", parts, sides, subject))
    return findings


def _find_lone_speakers(split: Split) -> list[Finding]:
    by_emotion = defaultdict(list)
    for part, utterance in _members(split):
        by_emotion[utterance.emotion].append((part, utterance))
    findings = []
    for emotion, members in sorted(by_emotion.items()):
        part, utterance = members[0]
        if utterance.speaker and len({(u.corpus, u.speaker) for _, u in members}) == 1:
            detail = f"{pluralize(len(members), 'utterance')} with {emotion}, all by speaker {utterance.speaker}"
            findings.append(Finding("one speaker", "note", (utterance.path,), (part,), detail))
    return findings


def _find_single_emotions(split: Split) -> list[Finding]:
    members = _members(split)
    found = describe_single_emotions(row for _, row in members)
    return [Finding("one emotion", "note", (members[0][1].path,), (), found)] if found else []


def _find_misfitting_segments(split: Split) -> list[Finding]:
    members = _members(split)
    misfit = describe_misfit([(row.path, row.start, row.end) for _, row in members])
    return [Finding("times that do not fit", "fault", (members[0][1].path,), (), misfit)] if misfit else []


def _find_faults(split: Split) -> tuple[list[Finding], Split]:
    """Return the findings about single files, and the split without unreadable and silent utterances."""
    members = _members(split)
    findings: list[Finding] = []
    audible: Split = {part: [] for part in split}
    outcomes = map_in_threads(lambda member: list(_faults_of(member[1])), members)
    for (part, utterance), faults in zip(members, outcomes, strict=True):
        findings += [Finding(kind, grade, (utterance.path,), (part,), detail) for kind, grade, detail in faults]
        if not {"unreadable", "silent"} & {kind for kind, _, _ in faults}:
            audible[part].append(utterance)
    return findings, audible


def _faults_of(utterance: Utterance) -> Iterator[tuple[str, str, str]]:
    """Yield kind, severity and explanation of each fault; of a missing file, its reason."""
    if utterance.problem:
        yield "unreadable", "fault", utterance.problem
        return
    yield from find_faults(utterance)


def _members(split: Split) -> list[tuple[str, Utterance]]:
    return [(part, utterance) for part, utterances in split.items() for utterance in utterances]


def _in_two_parts(split: Split, key: Callable) -> Iterator[tuple[tuple[str, str], Any, tuple[list, list]]]:
    """Yield (names of the parts, key, utterances of each part) for each key in two parts; empty keys are skipped."""
    grouped: dict[str, defaultdict[Any, list[Utterance]]] = {part: defaultdict(list) for part in split}
    for part, utterance in _members(split):
        grouped[part][key(utterance)].append(utterance)
    for one, other in combinations(split, 2):
        for value in sorted(filter(None, grouped[one].keys() & grouped[other].keys())):
            yield (one, other), value, (grouped[one][value], grouped[other][value])


def _share(kind: Kind, severity: Severity, parts: tuple[str, str], both: Sequence[list], subject: str) -> Finding:
    counts = " and ".join(f"{pluralize(len(us), 'utterance')} in {part}" for part, us in zip(parts, both, strict=True))
    return Finding(kind, severity, tuple(us[0].path for us in both), parts, f"{subject} {counts}")


def _pair_finding(kind: Kind, one: Member, other: Member, how: str) -> Finding:
    """Return the finding for two utterances that contain the same recording."""
    (part, first), (other_part, second) = one, other
    speakers = {(utterance.corpus, utterance.speaker) for utterance in (first, second) if utterance.speaker}
    severity: Severity
    if part != other_part:
        severity = "leak"
    elif first.emotion != second.emotion or len(speakers) > 1:
        severity = "fault"
    else:
        severity = "note"
    who = " and ".join(f"{u.emotion} by speaker {u.speaker or 'unknown'} in {name}" for name, u in (one, other))
    return Finding(kind, severity, (first.path, second.path), (part, other_part), f"{who}: {how}")


def _normalise(text: str) -> str:
    """Return a sentence casefolded, without punctuation and repeated spaces; combining vowel signs are kept."""
    letters = (c for c in unicodedata.normalize("NFKC", text).casefold() if unicodedata.category(c)[0] not in "PS")
    return " ".join("".join(letters).split())


def _relative(finding: Finding, root: str | os.PathLike) -> Finding:
    root = os.path.expanduser(root)
    paths = tuple(spell(os.path.relpath(path, root)) for path in finding.utterances)
    return replace(finding, utterances=paths, detail=as_utf8(finding.detail))
