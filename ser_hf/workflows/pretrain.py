"""Continue the self-supervised pretraining of an encoder on the audio of a corpus, and hand over the encoder."""

import dataclasses
import logging
import time
from contextlib import nullcontext

from transformers import PreTrainedModel, set_seed

from ser_hf.models.self_supervised import build_self_supervised
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.folder import check_folder, claim_folder
from ser_hf.runs.pretraining_arguments import PretrainingArguments, check_options
from ser_hf.runs.pretraining_record import PretrainingRecord, list_epochs, read_pretraining, write_pretraining
from ser_hf.runs.recipe import resolve_recipe
from ser_hf.runs.result_records import TrainingRecord
from ser_hf.runs.speech_data import write_problems
from ser_hf.runs.task_options import complete_arguments
from ser_hf.runs.training_arguments import SerTrainingArguments
from ser_hf.runs.unlabelled_speech import UnlabelledSpeech, load_unlabelled_speech
from ser_hf.training.components import make_augmentation, prepare_process
from ser_hf.training.pretraining import MaskingCollator, Pretrainer
from ser_hf.training.record import describe_training
from ser_hf.training.trainer_state import last_checkpoint

logger = logging.getLogger(__name__)


def pretrain(
    data: DataArguments, model_args: PretrainingArguments, training: SerTrainingArguments
) -> PretrainingRecord | None:
    """Train an encoder on its self-supervised objective, and save it in `training.output_dir` for fine-tuning.

    It is trained on the training speakers of the split that `finetune` makes with the same data arguments, and the
    epoch with the lowest loss on the validation speakers is kept. No file of a test speaker is opened. An interrupted
    run resumes from its last checkpoint, and a finished run is continued if `training.num_train_epochs` is larger.

    Args:
        data: Corpora, split and augmentation; the labels of a recipe only influence its split.
        model_args: Encoder and masking.
        training: Training arguments.

    Returns:
        The record in pretraining.json; None in all processes of a distributed run except the first.

    Raises:
        ValueError: If a corpus or an argument is not as expected, the architecture has no objective in transformers,
            or the codebook collapses.
        OSError: If a file is missing, or the output folder holds another run.
    """
    check_options(data, training)
    complete_arguments(data, [])
    training = dataclasses.replace(training, metric_for_best_model="loss")
    prepare_process(training)
    recipe = resolve_recipe(data, model_args, training)
    check_folder(training.output_dir, recipe)
    finished = read_pretraining(training.output_dir)
    if finished and (finished.training.epochs or 0) >= training.num_train_epochs:
        logger.info("This recipe is finished: more --num_train_epochs would continue it.")
        return finished
    set_seed(training.seed)
    model, feature_extractor = build_self_supervised(
        model_args.model_name_or_path,
        model_type=model_args.model_type,
        config_overrides=dict(item.split("=", 1) for item in model_args.config_overrides),
        layerdrop=0.0 if training.world_size > 1 or training.gradient_checkpointing else None,
        revision=model_args.revision,
    )
    with training.main_process_first(desc="reading the audio"):
        speech = load_unlabelled_speech(data)
    augment = make_augmentation(data)
    collator = MaskingCollator(feature_extractor, model.config, model_args, augment=augment, seed=training.seed)
    first, launch = training.process_index == 0, "ser-hf pretrain"
    with claim_folder(training.output_dir, recipe, speech.dataset, launch=launch) if first else nullcontext():
        if first:
            write_problems(speech.problems, training.output_dir)
        trainer = Pretrainer(model, training, collator, dataset=speech.dataset, arguments=model_args)
        described = _train_encoder(trainer)
        return _hand_over(trainer, speech, described) if first else None


def _train_encoder(trainer: Pretrainer) -> TrainingRecord:
    """Train, or resume from the last checkpoint; the model then has the weights of the best epoch."""
    checkpoint = last_checkpoint(trainer.args.output_dir)
    began = time.monotonic()
    trainer.train(resume_from_checkpoint=checkpoint)
    return describe_training(trainer, seconds=time.monotonic() - began, resumed=checkpoint is not None)


def _hand_over(trainer: Pretrainer, speech: UnlabelledSpeech, described: TrainingRecord) -> PretrainingRecord:
    """Save the encoder without its objective, then write and return the record, which marks a finished run."""
    folder = trainer.args.output_dir
    encoder: PreTrainedModel = trainer.model.base_model  # type: ignore[assignment]
    encoder.save_pretrained(folder)
    trainer.data_collator.feature_extractor.save_pretrained(folder)
    train, validation = speech.dataset["train"], speech.dataset["validation"]
    record = PretrainingRecord(
        training=described,
        curve=list_epochs(trainer.state.log_history),
        codes_per_group=trainer.model.config.num_codevectors_per_group,
        speakers=speech.speakers,
        utterances={"train": len(set(train["utterance"])), "validation": len(set(validation["utterance"]))},
        hours=sum(train["duration"]) / 3600,
    )
    write_pretraining(folder, record)
    return record


def describe_pretraining(record: PretrainingRecord, folder: str) -> str:
    """Return the final message: the losses of the first and the best epoch, the codebook, and the next command."""
    best = next(row for row in record.curve if row["epoch"] == record.training.best_epoch)
    return f"""
Validation loss {record.curve[0]["validation_loss"]:.3f} in the first epoch, {best["validation_loss"]:.3f} in epoch \
{best["epoch"]:g}, which is kept. {best["validation_perplexity"]:.1f} of {record.codes_per_group} codes per group are \
in use.
The encoder is in {folder}. Fine-tune it with the same split:

  ser-hf train RECIPE --model_name_or_path {folder}
"""
