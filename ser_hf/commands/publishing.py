"""Define `ser-hf doctor`, `publish` and `export`: check, repair, publish and export a checkpoint."""

from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ser_hf.escaping import show
from ser_hf.models.location import check_location, describe_missing_model
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.file_names import PREDICTIONS, RECIPE

if TYPE_CHECKING:
    import numpy as np


def doctor_command(argv: list[str]) -> int:
    """Check any checkpoint for faults, or write a repaired copy."""
    parser = _build_publishing_parser(doctor_command, "FOLDER_OR_ID [--fix OUTPUT_DIR [--emotions EMOTION …]]")
    parser.add_argument("checkpoint", metavar="FOLDER_OR_ID", help="Folder, or id on the Hub.")
    parser.add_argument("--fix", metavar="OUTPUT_DIR", help="Write a repaired copy into this new folder.")
    parser.add_argument(
        "--emotions", nargs="+", metavar="EMOTION", help="With --fix: names in the order of the model's outputs."
    )
    options = parser.parse_args(argv)
    if options.emotions and not options.fix:
        parser.error("--emotions: expected with --fix OUTPUT_DIR.")
    check_location(options.checkpoint)
    from ser_hf.publishing.doctor import examine, repair
    from ser_hf.publishing.gate import describe_checks

    checks = examine(options.checkpoint)
    show(describe_checks(checks))
    if not options.fix:
        return int(not all(check.passed for check in checks))
    repaired = repair(options.checkpoint, options.fix, emotions=options.emotions)
    show("", *(repaired or ["Nothing to repair."]))
    if Path(options.fix).is_dir():
        show(f"Wrote the copy: {options.fix}")
    return int(any(line.startswith("Not repaired") for line in repaired))


def publish_command(argv: list[str]) -> int:
    """Publish a finished run on the Hugging Face Hub if all checks pass."""
    parser = _build_publish_parser()
    options = vars(parser.parse_args(argv))
    folder, repo_id, data_root = (options.pop(name) for name in ("folder", "repo_id", "data_root"))
    if data_root and not options["check"]:
        parser.error("--data_root: expected with --check.")
    if options["check"] and options["space"]:
        parser.error("--space: expected without --check, which publishes nothing. Use --dry_run to write the Space.")
    _require_folder(folder, "the output folder of a finished run")
    if options.pop("check"):
        from ser_hf.publishing.gate import describe_checks, run_gate

        checks = run_gate(folder, folders=data_root and _corpus_folders(Path(folder), data_root))
        show(describe_checks(checks))
        return int(not all(check.passed for check in checks))
    if repo_id is None:
        parser.error("expected the repository USER/NAME, or --check.")
    from ser_hf.publishing import upload

    if not options.pop("space"):
        show(upload.publish(folder, repo_id, **options))
        return 0
    from ser_hf.publishing.space import push_space, write_space

    space = write_space(folder, repo_id)  # before the upload, so that nothing is published if it fails
    show(f"Wrote the Space: {space}")
    show(upload.publish(folder, repo_id, **options))
    if not options["dry_run"]:
        show(push_space(space, repo_id, public=options["public"], overwrite=options["overwrite"]))
    return 0


def _build_publish_parser() -> ArgumentParser:
    parser = _build_publishing_parser(
        publish_command, "FOLDER REPO_ID [options]\n       ser-hf publish FOLDER --check [--data_root DIR …]"
    )
    parser.epilog = "The access token is from `hf auth login` or the environment variable HF_TOKEN."
    parser.add_argument("folder", metavar="FOLDER", help="Output folder of ser-hf train or ser-hf probe.")
    parser.add_argument("repo_id", metavar="REPO_ID", nargs="?", help="USER/NAME; created as private if missing.")
    parser.add_argument("--check", action="store_true", help="Only run the checks and print their results.")
    parser.add_argument(
        "--dry_run", "--dry-run", action="store_true", help="Only run the checks and list the files to upload."
    )
    parser.add_argument("--public", action="store_true", help="Make a new repository public.")
    parser.add_argument("--overwrite", action="store_true", help="Replace the model of another recipe.")
    parser.add_argument(
        "--space",
        action="store_true",
        help="Also publish the live page as a Space of the same name; its files are written into FOLDER/space.",
    )
    parser.add_argument(
        "--examples", nargs="+", metavar="FILE", default=[],
        help="WAV or FLAC files for the widget on the Hub; only with the consent of the speakers.",
    )  # fmt: skip
    parser.add_argument(
        "--data_root", "--data-root", nargs="+", metavar="DIR",
        help="With --check: folder of each corpus of the run; score its test files again with the stock pipeline.",
    )  # fmt: skip
    return parser


def export_command(argv: list[str]) -> int:
    """Export a checkpoint to ONNX files in float32 and int8, and compare them with torch."""
    parser = _build_publishing_parser(export_command, "FOLDER [options]")
    parser.add_argument("folder", metavar="FOLDER", help="A saved checkpoint.")
    parser.add_argument(
        "--output_dir",
        "--output-dir",
        metavar="DIR",
        help="Write onnx/ and copies of the JSON files into this folder, not into FOLDER.",
    )
    parser.add_argument("--no_int8", "--no-int8", action="store_true", help="Write float32 only.")
    parser.add_argument(
        "--data_root", "--data-root", nargs="+", metavar="DIR",
        help="Folder of each corpus of the run: compare accuracy and speed on the test utterances of predictions.csv.",
    )  # fmt: skip
    options = parser.parse_args(argv)
    if options.data_root and options.output_dir:
        parser.error("--data_root compares the files in FOLDER: leave out --output_dir.")
    _require_folder(options.folder, "a saved checkpoint")
    test = _read_test(Path(options.folder), options.data_root) if options.data_root else None
    from ser_hf.publishing.export import export_onnx

    report = export_onnx(options.folder, output_dir=options.output_dir, int8=not options.no_int8)
    show(_describe_export(report, Path(options.output_dir or options.folder) / "onnx"))
    if test:
        from ser_hf.publishing.export_comparison import compare_exports

        show("", _describe_comparison(compare_exports(options.folder, *test), len(test[0])))
    return 0


def _build_publishing_parser(command: Callable, usage: str) -> ArgumentParser:
    prog = f"ser-hf {command.__name__.removesuffix('_command')}"
    return ArgumentParser(prog, f"%(prog)s {usage}", command.__doc__, allow_abbrev=False)


def _require_folder(folder: str, expected: str) -> None:
    """Raise FileNotFoundError if a folder does not exist, before torch is imported."""
    if not Path(folder).is_dir():
        raise FileNotFoundError(describe_missing_model(folder, expected))


def _corpus_folders(folder: Path, data_root: Sequence[str]) -> dict[str, Path]:
    """Return the folder of each corpus of a run, by the name of the corpus in predictions.csv."""
    from ser_hf.runs.recipe import corpora_of, read_recipe
    from ser_hf.runs.speech_data import audio_folders

    for name in (PREDICTIONS, RECIPE):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"'{folder}' has no {name}: expected the output folder of a run for --data_root.")
    recipe = read_recipe(folder)
    return audio_folders(DataArguments(corpora_of(recipe), list(data_root)))


def _read_test(folder: Path, data_root: Sequence[str]) -> "tuple[list[np.ndarray], list[int]]":
    """Return the raw waveforms ``(T,)`` at 16 kHz of the test utterances of a run, and their labels."""
    from ser_hf.corpora.spelling import unspell
    from ser_hf.data import decode_audio
    from ser_hf.evaluation import read_predictions
    from ser_hf.publishing.checks import read_json_or_empty

    folders = _corpus_folders(folder, data_root)
    rows = read_predictions(folder / PREDICTIONS).query("split == 'test'")
    if "target" not in rows:
        raise ValueError("data_root: the comparison needs the UA, which only the task 'categories' has. Leave it out.")
    rows = rows.astype(object).where(rows.notna(), None)
    label2id = read_json_or_empty(folder / "config.json")["label2id"]
    waveforms = [
        decode_audio(folders[row.corpus] / unspell(row.path), start=row.start, end=row.end) for row in rows.itertuples()
    ]
    return waveforms, [label2id[emotion] for emotion in rows["target"]]


def _describe_export(report: dict, folder: Path) -> str:
    from ser_hf.publishing.export import FP32, INT8

    found = {FP32: f"{report['megabytes']:.1f} MB, logits within {report['largest_logit_difference']:.1e} of torch's"}
    if "int8_megabytes" in report:
        difference = report["int8_largest_score_difference"]
        found[INT8] = f"{report['int8_megabytes']:.1f} MB, scores within {difference:.1e} of torch's"
    lines = [f"{folder / name}: {sentence}" for name, sentence in found.items()]
    change = "does not change" if report["batch_equals_single"] else "changes"
    lines.append(f"Variable sizes: {' and '.join(report['dynamic'])}. Padding in a batch {change} the scores.")
    if not report["transformers_js"]:
        lines.append(f"transformers.js does not support '{report['architecture']}': use ONNX Runtime or ser_hf.")
    return "\n".join(lines)


def _describe_comparison(rows: list[dict], utterances: int) -> str:
    title = f"{utterances} test utterances"
    lines = [f"{title:20}{'UA %':>9}{'utterances/s':>14}{'MB':>8}  largest difference of a score"]
    for row in rows:
        lines.append(
            f"{row['name']:20}{100 * row['ua']:9.1f}{row['utterances_per_second']:14.1f}{row['megabytes']:8.1f}  "
            f"{row['largest_score_difference']:.1e}"
        )
    return "\n".join(lines)
