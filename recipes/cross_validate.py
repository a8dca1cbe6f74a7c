"""Run a recipe on every fold of its protocol and pool the test predictions: one command, resumable at fold and step.

    python recipes/cross_validate.py finetune recipes/configs/ravdess/whisper_tiny.yaml --data_root ~/RAVDESS \\
        --output_dir runs/ravdess/whisper_tiny_folds

The recipe is `finetune` or `probe`; what stands before its name goes to `accelerate launch`, as in `python
recipes/cross_validate.py --config_file recipes/accelerate/multi_gpu.yaml finetune …`. Each fold has a folder of its own
in the output folder, fold_1 and so on; recipe.yaml beside them is that of all. Run again after an interruption,
finished folds are kept and the one under way goes on from its last checkpoint.
"""

import subprocess
import sys
from pathlib import Path

import yaml

from ser_hf.data.protocols import list_folds
from ser_hf.heads.comparison import ProbeArguments
from ser_hf.publishing.card import render_folds_card
from ser_hf.runs.command_line import parse_arguments
from ser_hf.runs.recipe import FILE_NAME
from ser_hf.runs.speech_data import label_utterances, load_utterances
from ser_hf.training import DataArguments, ModelArguments, SerTrainingArguments, check_folder, resolve_recipe
from ser_hf.training.folds import pool_folds

FOLDER = Path(__file__).parent
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch"]
KINDS = {
    "finetune": (DataArguments, ModelArguments, SerTrainingArguments),
    "probe": (DataArguments, ProbeArguments),
}


def main(argv: list[str]) -> None:
    """Run the folds one after the other, then write their pooled results and card."""
    if argv in (["--help"], ["-h"]):
        return print(f"{__doc__}\nfinetune --help and probe --help list the arguments of each.")
    try:
        launch_options, script, argv = split_command(argv)
        data, recipe, output_dir = read_arguments(script, argv)
        utterances = label_utterances(data, load_utterances(data))[0]
        count = len(list_folds(utterances, data.protocol, folds=data.folds, seed=data.split_seed))
        claim_parent(output_dir, recipe, script)
        launch = [*LAUNCH, *launch_options] if script == "finetune" else [sys.executable]
        folders = [output_dir / f"fold_{fold}" for fold in range(1, count + 1)]
        for fold, folder in enumerate(folders, 1):
            print(f"Fold {fold} of {count} of {data.protocol}, in {folder}", flush=True)
            run_fold([*launch, str(FOLDER / f"{script}.py"), *argv], fold, folder)
        results = pool_folds(folders, output_dir, protocol=data.protocol)
        (output_dir / "README.md").write_text(render_folds_card(results, folders[0]), encoding="utf-8")
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    return print(tell(results, output_dir))


def split_command(argv: list[str]) -> tuple[list[str], str, list[str]]:
    """Return the options of accelerate launch, the recipe's name, and the recipe's own arguments."""
    names = [item for item in argv if item in KINDS]
    if not names:
        raise ValueError(f"Expected the recipe to run, finetune or probe, found {argv}.")
    at = argv.index(names[0])
    return argv[:at] or ["--num_processes", "1"], names[0], argv[at + 1 :]


def read_arguments(script: str, argv: list[str]) -> tuple[DataArguments, dict, Path]:
    """Return what is recognised of whom, the recipe of all folds, and where they go."""
    data, *arguments = parse_arguments(argv, KINDS[script])
    if data.protocol is None:
        raise ValueError(
            "Expected a protocol with folds: say --protocol, such as leave_one_speaker_out or group_kfold."
        )
    return data, resolve_recipe(data, *arguments) | {"fold": None}, Path(arguments[-1].output_dir)


def claim_parent(output_dir: Path, recipe: dict, script: str) -> None:
    """Write the recipe of all folds into the folder that holds them, unless that holds something else.

    Its fold is null: the folder of a single fold's run, where it is a number, is never taken for it.
    """
    check_folder(output_dir, recipe)
    output_dir.mkdir(parents=True, exist_ok=True)
    header = (
        "# All folds. Rerun them with:\n"
        f"# python recipes/cross_validate.py {script} recipe.yaml --data_root FOLDER --output_dir FOLDER\n"
    )
    text = header + yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True)
    (output_dir / FILE_NAME).write_text(text, encoding="utf-8")


def run_fold(command: list[str], fold: int, folder: Path) -> None:
    """Run one fold to its end, or exit."""
    run = subprocess.run([*command, "--fold", str(fold), "--output_dir", str(folder)])
    if run.returncode == 0:
        return
    parent = folder.parent
    if not list(parent.glob("fold_*")):  # the recipe never got to work: leave the folder free for a mended one
        (parent / FILE_NAME).unlink()
    sys.exit(f"error: fold {fold} ended with exit code {run.returncode}; run the same command again to go on.")


def tell(results: dict, output_dir: Path) -> str:
    """Return what to print at the end."""
    test, mean, sd = results["test"], results["mean"]["ua"], results["sd"]["ua"]
    heard = f"{test['utterances']} utterances of {test['speakers'] or 'unknown'} speakers"
    low, high = test["intervals"]["ua"]
    return (
        f"Test UA {test['ua']:.3f} over {len(results['folds'])} folds pooled, 95 % interval {low:.3f} to {high:.3f} "
        f"({heard}); fold mean {mean:.3f} ± {sd:.3f}.\n"
        f"Evidence: {output_dir}/README.md"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
