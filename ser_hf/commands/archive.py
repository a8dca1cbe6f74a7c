"""Define `ser-hf archive`: predictions for archives of any size, in shards; see `ser_hf.archives`."""

import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import TYPE_CHECKING

from ser_hf.archives.job import Settings
from ser_hf.commands.model_options import add_model_options, add_speech_option, load_chosen_model
from ser_hf.corpora.files import pluralize
from ser_hf.escaping import show
from ser_hf.models.location import check_location
from ser_hf.terminal import ParagraphFormatter

if TYPE_CHECKING:
    from ser_hf.archives.running import Progress, Worker

ROWS = ("utterances", "windows", "segments")
STORES = """
SOURCE and JOB are folders: paths, or URLs of object stores (s3:// with s3fs, gs:// with gcsfs, hf://). Tar files in
SOURCE, such as those of webdataset, are read as folders of their audio files. JOB receives manifest.parquet and
job.json, which never change, later parts/ and _SUCCESS.json. A shard is done if and only if its part exists.
"""
MACHINES = """
Run the same command again to continue. Several calls may run at the same time, on all machines that read SOURCE and
write JOB: each file still gets its rows once. --shard divides the work without any communication, as in a Slurm array
(--shard $SLURM_ARRAY_TASK_ID/64); by default it follows the variables RANK and WORLD_SIZE. --ray uses the cluster that
RAY_ADDRESS or this machine names, or starts Ray on this machine.

The exit code is 1 if shards were given up because they ended their worker three times.
"""


def plan_command(argv: list[str]) -> int:
    """List an archive of any size once, and cut it into shards."""
    parser = _parser("plan SOURCE JOB --model FOLDER_OR_ID [options]", plan_command.__doc__, STORES)
    parser.add_argument("source", metavar="SOURCE", help="Folder of the archive.")
    parser.add_argument("job", metavar="JOB", help="New folder for the job.")
    add_model_options(parser)
    parser.add_argument("--rows", choices=ROWS, default="utterances", help="What a row is: a whole file (default), "
                        "a window, or a segment as in `ser-hf timeline`.")  # fmt: skip
    parser.add_argument("--window", type=float, default=4.0, help="Longest speech per score of a segment, in seconds.")
    parser.add_argument("--hop", type=float, default=1.0, help="Seconds between two scores of a segment.")
    add_speech_option(parser)
    parser.add_argument("--shard_bytes", type=float, default=1e9, help="Largest size of a shard (%(default)g).")
    parser.add_argument("--batch_size", type=int, default=8, help="Utterances per batch.")
    options = parser.parse_args(argv)
    if options.dtype == "auto":
        parser.error("dtype: expected float32, bfloat16 or int8, because all machines must compute the same.")
    for name, value in (("batch_size", options.batch_size), ("shard_bytes", options.shard_bytes)):
        if value < 1:
            parser.error(f"{name}: expected 1 or more, found {value:g}.")
    check_location(options.model)
    from ser_hf.archives import plan
    from ser_hf.serving.predict import identify_model

    model = os.path.abspath(options.model) if os.path.isdir(options.model) else options.model
    description = identify_model(load_chosen_model(options), options.model, options.dtype, options.speech)
    settings = Settings(**{field: getattr(options, field) for field in Settings.__dataclass_fields__})
    job = plan(
        options.source, options.job, name=model, model=description, settings=settings,
        shard_bytes=int(options.shard_bytes),
    )  # fmt: skip
    counts = f"{pluralize(job.files, 'file')}, {_spell_size(job.bytes)}, {pluralize(job.shards, 'shard')}"
    show(f"{counts}. Next: ser-hf archive run {options.job}")
    return 0


def run_command(argv: list[str]) -> int:
    """Predict the shards that are not done, on this machine or a Ray cluster."""
    parser = _parser("run JOB [options]", run_command.__doc__, MACHINES)
    parser.add_argument("job", metavar="JOB", help="Folder of the job.")
    parser.add_argument(
        "--workers", type=int, help="Number of processes; by default one per GPU, or else per CPU core."
    )
    parser.add_argument("--device", help="Device to run on; by default the GPU if there is one, else the CPU.")
    parser.add_argument("--shard", type=_share, metavar="I/N", help="Run only the I-th of N shares, from 0.")
    parser.add_argument("--ray", action="store_true", help="Run the workers on a Ray cluster.")
    parser.add_argument("--gpus", type=float, default=0, help="With --ray: GPUs of each worker, such as 1 or 0.5.")
    parser.add_argument("--logs", metavar="FOLDER", help="Write a log for each worker.")
    parser.add_argument("--price", type=float, metavar="PER_HOUR", help="Price of a worker, to print the cost.")
    options = parser.parse_args(argv)
    if options.workers is not None and options.workers < 1:
        parser.error(f"workers: expected 1 or more, found {options.workers}.")
    if options.gpus < 0 or (options.gpus and not options.ray):
        parser.error(f"gpus: expected 0 or more, and --ray; found {options.gpus:g}.")
    if options.price is not None and options.price < 0:
        parser.error(f"price: expected 0 or more, found {options.price:g}.")
    rank, processes = (int(os.environ.get(name, alone)) for name, alone in (("RANK", 0), ("WORLD_SIZE", 1)))
    from ser_hf.archives import run

    workers = _make_workers(options)
    progress = run(options.job, workers, share=options.shard or (rank, processes), show=_show_progress)
    show(_describe(progress, options.price))
    return int(bool(progress.failed))


def verify_command(argv: list[str]) -> int:
    """Check that every file of the archive has its rows once, and write the sums."""
    parser = _parser("verify JOB", verify_command.__doc__, None)
    parser.add_argument("job", metavar="JOB", help="Folder of the job.")
    options = parser.parse_args(argv)
    from ser_hf.archives import verify

    sums = verify(options.job)
    for fault in sums.faults[:10]:
        show(f"{fault}: delete it and run the job again.")
    if sums.missing:
        show(f"Not done: {pluralize(len(sums.missing), 'shard')} (first: {sums.missing[0]}). Run the job again.")
    counts = f"{pluralize(sums.files, 'file')} ({sums.errors} with errors), {pluralize(sums.rows, 'row')}"
    show(f"{counts}, {sums.hours:.2f} h of audio.")
    return int(bool(sums.missing or sums.faults))


def merge_command(argv: list[str]) -> int:
    """Write the rows of a verified archive as one table."""
    parser = _parser("merge JOB OUTPUT", merge_command.__doc__, None)
    parser.add_argument("job", metavar="JOB", help="Folder of the job.")
    parser.add_argument("output", metavar="OUTPUT", help="Table to write, .parquet: path or URL.")
    options = parser.parse_args(argv)
    from ser_hf.archives import merge_parts

    show(f"{pluralize(merge_parts(options.job, options.output), 'row')}: {options.output}")
    return 0


def _parser(usage: str, description: str | None, epilog: str | None) -> ArgumentParser:
    return ArgumentParser(
        f"ser-hf archive {usage.split()[0]}", f"ser-hf archive {usage}", description, epilog, allow_abbrev=False,
        formatter_class=ParagraphFormatter,
    )  # fmt: skip


def _spell_size(size: int) -> str:
    return f"{size / 1e9:.3f} GB" if size >= 1e9 else f"{size / 1e6:.3f} MB"


def _share(text: str) -> tuple[int, int]:
    first, _, step = text.partition("/")
    if not (first.isdigit() and step.isdigit() and int(first) < int(step)):
        raise ArgumentTypeError(f"expected I/N with I from 0 to N - 1, found {text}")
    return int(first), int(step)


def _make_workers(options: Namespace) -> "list[Worker]":
    common = {"folder": options.job, "device": options.device, "logs": options.logs and os.path.abspath(options.logs)}
    if options.ray:
        from ser_hf.archives.ray_workers import RayWorker, connect

        count = options.workers or _count_devices()
        connect(count)
        return [RayWorker(gpus=options.gpus, **common) for _ in range(count)]
    from ser_hf.archives.local_workers import LocalWorker

    return [LocalWorker(number=number, **common) for number in range(options.workers or _count_devices())]


def _count_devices() -> int:
    import torch

    from ser_hf.cpus import usable_cpus

    return torch.cuda.device_count() or usable_cpus()


def _show_progress(progress: "Progress", seconds: float) -> None:
    left = (progress.shards - progress.done) * seconds / progress.done
    files = f"{pluralize(progress.files, 'file')} ({progress.errors} with errors)"
    show(
        f"{progress.done}/{progress.shards} shards, {files}, "
        f"{progress.hours:.2f} h of audio, {3600 * progress.hours / seconds:.0f} h per hour, {left:.0f} s left",
        flush=True,
    )


def _describe(progress: "Progress", price: float | None) -> str:
    lines = [f"Done: {progress.done} of {pluralize(progress.shards, 'open shard')}."]
    if cost := progress.worker_hours_per_1000:
        money = f", which cost {price * cost:.2f}" if price is not None else ""
        lines.append(f"1000 hours of audio take {cost:.2f} hours of one worker{money}.")
    lines += [
        f"Shard {shard} was given up: it ended its worker each time ({why})." for shard, why in progress.failed.items()
    ]
    return "\n".join(lines)
