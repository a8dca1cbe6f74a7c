"""Describe split, audio, leaks and hardware of a run for its results."""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from collections import Counter
from datetime import date
from importlib.metadata import distribution, requires, version
from pathlib import Path

import ser_hf
from ser_hf import __version__
from ser_hf.corpora import Utterance
from ser_hf.corpora.files import pluralize
from ser_hf.data.audit import Finding
from ser_hf.data.fingerprint import hash_recordings
from ser_hf.data.preparation import AudioProblem
from ser_hf.data.protocols import speakers_of
from ser_hf.data.splits import Split, is_speaker_independent
from ser_hf.runs.data_records import AudioRecord, LeakRecord, Part, SplitRecord

ACTIONS = ("skipped", "too_short", "windowed", "padded", "partial")
LEAKS = ("shared_speaker", "identical_audio", "overlapping_audio")  # kinds of leaks that every recipe checks


def describe_split(split: Split, name: str, folders: dict[str, Path], *, planned: Split) -> SplitRecord:
    """Return name and digest of a split, whether it is speaker-independent, and the content of its parts.

    Args:
        split: Utterances by part.
        name: Name of the split, for readers.
        folders: Folder of each corpus, to which paths are relative.
        planned: The split with the utterances that were left out because of their audio. Its files are hashed, so that
            anyone with the corpus gets the same hash without decoding it.
    """
    speakers = set().union(*map(speakers_of, split.values()))
    several = len({corpus for corpus, _ in speakers}) > 1
    parts = {
        part: Part(
            speakers=_list_speakers(utterances, several=several),
            utterances=len(utterances),
            emotions=dict(sorted(Counter(utterance.emotion for utterance in utterances).items())),
            recordings=hash_recordings(planned[part]),
        )
        for part, utterances in split.items()
    }
    digest = _hash_split(split, folders)
    return SplitRecord(name, speaker_independent=is_speaker_independent(split), digest=digest, **parts)


def _hash_split(split: Split, folders: dict[str, Path]) -> str:
    """Return the SHA-256 of utterances and their parts; it does not depend on the location of the corpora."""
    rows = sorted(
        (u.corpus, Path(os.path.relpath(u.path, folders[u.corpus])).as_posix(), u.start or 0.0, u.end or 0.0, part)
        for part, utterances in split.items()
        for u in utterances
    )
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _list_speakers(utterances: list[Utterance], *, several: bool) -> list[str]:
    speakers = sorted((corpus, speaker) for corpus, speaker in speakers_of(utterances) if speaker is not None)
    return [f"{corpus}/{speaker}" if several else speaker for corpus, speaker in speakers]


def describe_audio(
    split: Split,
    problems: list[AudioProblem],
    dropped: Counter,
    unused_votes: dict[str, float] | None = None,
    without_votes: int = 0,
) -> AudioRecord:
    """Return the hours of audio, and the numbers of utterances with unusual audio and with dropped labels."""
    actions = Counter(problem.action.replace(" ", "_") for problem in problems)
    return AudioRecord(
        hours=sum(utterance.duration for utterances in split.values() for utterance in utterances) / 3600,  # type: ignore[misc]
        **{action: actions[action] for action in ACTIONS},
        dropped_emotions=dict(sorted(dropped.items())),
        unused_votes=unused_votes or {},
        without_votes=without_votes,
    )


def describe_audit(findings: list[Finding]) -> LeakRecord:
    """Return the number of leaks between the parts of the split, by kind."""
    leaks = Counter(finding.kind.replace(" ", "_") for finding in findings if finding.severity == "leak")
    return LeakRecord(**{kind: leaks[kind] for kind in LEAKS})


def describe_machine(device: str | None = None) -> dict:
    """Return hardware, date (ISO 8601) and versions of the libraries: the fields of `MachineRecord`.

    Args:
        device: Type of the device that was used, such as "cuda" or "mps"; None for the GPU if there is one, else the
            CPU.
    """
    return {
        "hardware": _name_hardware(device),
        "date": date.today().isoformat(),
        "versions": {"ser_hf": __version__, "python": platform.python_version(), **_required_versions()},
        "commit": _find_commit(),
    }


def _required_versions() -> dict[str, str]:
    """Return the versions of the packages that ser_hf requires without extras."""
    required = [line for line in requires("ser_hf") or () if "extra ==" not in line]
    names = sorted(re.match(r"[\w.-]+", line)[0] for line in required)  # type: ignore[index]
    return {name: version(name) for name in names}


def _find_commit() -> str | None:
    """Return the commit of ser_hf that pip installed, or of the clone that it runs from."""
    installed = distribution("ser_hf").read_text("direct_url.json")  # Source: PEP 610
    if commit := json.loads(installed or "{}").get("vcs_info", {}).get("commit_id"):
        return commit
    clone = Path(ser_hf.__file__).parents[1]
    if not (clone / ".git").exists() or not shutil.which("git"):
        return None
    command = ["git", "-C", str(clone), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None


def _name_hardware(device: str | None) -> str:
    import torch

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda":
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    if device != "cpu":
        return f"{device.upper()}, {platform.machine()}"
    return f"CPU, {pluralize(torch.get_num_threads(), 'thread')}, {platform.machine()}"
