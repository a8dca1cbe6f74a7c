"""The description of a job, job.json: the archive, the model and the settings, which are the same for every shard."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from ser_hf.archives.store import Store

JOB, MANIFEST, PARTS, SUCCESS = "job.json", "manifest.parquet", "parts", "_SUCCESS.json"
BLOCK = 1 << 22  # bytes


@dataclass(frozen=True)
class Settings:
    """Hold what determines the rows of a file, apart from the model.

    Attributes:
        rows: What a row is: "utterances" (a whole file), "windows" or "segments".
        window: Longest speech that the score of a segment is based on, in seconds.
        hop: Seconds between two windows of a segment.
        batch_size: Utterances or windows per batch.
        dtype: Type that the model computes in.
        preprocessing: As in `EmotionClassifier.from_pretrained`.
        speech: How speech is detected, "energy" or "silero".

    Examples:
        >>> Settings().rows
        'utterances'
    """

    rows: str = "utterances"
    window: float = 4.0
    hop: float = 1.0
    batch_size: int = 8
    dtype: str = "float32"
    preprocessing: str = "windows"
    speech: str = "energy"


@dataclass(frozen=True)
class Job:
    """Hold a job; see `Settings`.

    Attributes:
        source: Folder of the audio: path or URL.
        name: Folder or Hub id of the model.
        model: Description of the model, see `ser_hf.serving.predict.identify_model`.
        settings: The settings.
        manifest: SHA-256 of the manifest.
        shards: Number of shards.
        files: Number of files.
        bytes: Their size.

    Examples:
        >>> job = Job("/calls", "runs/mine", {}, Settings(), "60b7", shards=1, files=2, bytes=64_088)
        >>> job.part(0), json.loads(job.identity())["manifest"]
        ('parts/part-000000.parquet', '60b7')
    """

    source: str
    name: str
    model: dict[str, Any]
    settings: Settings
    manifest: str
    shards: int
    files: int
    bytes: int

    def part(self, shard: int) -> str:
        """Return the name of the part of a shard in the folder of the job."""
        return f"{PARTS}/part-{shard:06d}.parquet"

    def identity(self) -> str:
        """Return what identifies the rows of a part, as JSON; each part contains it."""
        values = {"manifest": self.manifest, "model": self.model, "settings": asdict(self.settings)}
        return json.dumps(values, sort_keys=True)


def write_job(store: Store, job: Job) -> None:
    """Write job.json."""
    store.add(JOB, json.dumps(asdict(job), indent=1, ensure_ascii=False).encode())


def read_job(store: Store) -> Job:
    """Read job.json.

    Raises:
        FileNotFoundError: If the folder has no job.
        ValueError: If job.json is damaged.
    """
    try:
        values = json.loads(store.read(JOB))
        return Job(**(values | {"settings": Settings(**values["settings"])}))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"No job in '{store.url}': expected {JOB}. Write it with `ser-hf archive plan`."
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"'{store.url}/{JOB}' is damaged ({error!r}): expected the file that `plan` wrote.") from error


def check_manifest(store: Store, job: Job) -> None:
    """Check that the manifest is the one that was planned.

    Raises:
        ValueError: If it has changed.
        FileNotFoundError: If it is missing.
    """
    with store.fs.open(store.path(MANIFEST), "rb") as file:
        found = hash_blocks(lambda: file.read(BLOCK))
    if found != job.manifest:
        raise ValueError(
            f"'{store.url}/{MANIFEST}' has changed since the job was planned: expected SHA-256 {job.manifest[:12]}…, "
            f"found {found[:12]}…. Restore it, or plan a new job in another folder."
        )


def hash_blocks(read: Callable[[], bytes]) -> str:
    """Return the SHA-256 of the blocks that a function returns until it returns an empty one."""
    digest = hashlib.sha256()
    while block := read():
        digest.update(block)
    return digest.hexdigest()


def done_shards(store: Store) -> set[int]:
    """Return the numbers of the shards that are done: those that have a part."""
    found = (re.fullmatch(r"part-(\d{6,})\.parquet", name) for name in store.names(PARTS))
    return {int(part[1]) for part in found if part}
