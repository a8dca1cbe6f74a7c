r"""Continue the self-supervised pretraining of a wav2vec2 encoder on the audio of a corpus, before fine-tuning.

    accelerate launch recipes/pretrain.py recipes/configs/iemocap/wav2vec2_base_pretrain.yaml \
        --data_root ~/IEMOCAP_full_release

The encoder is trained on the training speakers of the split that `finetune.py` makes with the same keys for corpora,
labels and split; the epoch with the lowest loss on the validation speakers is kept. No file of a test speaker is
opened. Utterances of the training speakers without a label in the recipe are used too. The output folder is an encoder
for `finetune.py --model_name_or_path`; pretraining.json contains the losses and the number of codes in use. After an
interruption, the same command resumes from the last checkpoint.
"""

import sys

from ser_hf.cli import run_main, start_logging
from ser_hf.escaping import show
from ser_hf.runs.command_line import parse_arguments
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.pretraining_arguments import PretrainingArguments
from ser_hf.runs.training_options import TrainingOptions

KINDS = (DataArguments, PretrainingArguments, TrainingOptions)


def main(argv: list[str]) -> None:
    """Pretrain, and print the losses and the command for fine-tuning."""
    start_logging()
    data, model_args, training = parse_arguments(argv, KINDS, description=__doc__)
    from ser_hf.workflows.pretrain import describe_pretraining, pretrain  # imports torch, so after --help

    record = pretrain(data, model_args, training)
    if record is not None:
        show(describe_pretraining(record, training.output_dir))


if __name__ == "__main__":
    sys.exit(run_main(main, sys.argv[1:]))
