"""Fine-tune any audio classifier of transformers on emotional speech, and score it on speakers outside training.

    accelerate launch recipes/finetune.py recipes/configs/ravdess/wav2vec2_base.yaml --data_root ~/RAVDESS --seed 1

A recipe is a YAML file, whose keys the command line overrides; `--help` lists them. The output folder is a model
repository: any `pipeline("audio-classification")` loads it. Run again after an interruption, it resumes from its last
checkpoint. Run again with more epochs, a finished run continues; from there on the learning rate is what a run of the
new length has at that step.
"""

import logging
import sys

from ser_hf.runs.command_line import parse_recipe


def main(argv: list[str]) -> None:
    """Run a recipe from its YAML to the scored, documented checkpoint."""
    logging.basicConfig(format="%(message)s")
    try:
        data, model_args, training = parse_recipe(argv, description=__doc__)
        from ser_hf.workflows.finetune import describe_run, finetune  # after --help, which does not wait for torch

        results = finetune(data, model_args, training)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    if results is not None:
        print(describe_run(results, training.output_dir))


if __name__ == "__main__":
    main(sys.argv[1:])
