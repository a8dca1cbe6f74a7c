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

from ser_hf.cli import run_main
from ser_hf.commands.training import pretrain_command


def main(argv: list[str]) -> None:
    """Pretrain, and print the losses and the command for fine-tuning."""
    pretrain_command(argv, prog="pretrain.py", description=__doc__)


if __name__ == "__main__":
    sys.exit(run_main(main, sys.argv[1:]))
