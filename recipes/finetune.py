"""Fine-tune any audio classifier of transformers on emotional speech, and score it on speakers it never heard.

    accelerate launch recipes/finetune.py recipes/configs/ravdess/wav2vec2_base.yaml --data_root ~/RAVDESS --seed 1

A recipe is a YAML file, whose keys the command line overrides; `--help` lists them. The output folder is a model
repository: any `pipeline("audio-classification")` loads it. Run again after an interruption, it goes on from its last
checkpoint. Run again with more epochs, a finished run continues; from there on the learning rate is what a run of the
new length has at that step.
"""

import dataclasses
import logging
import os
import sys
from pathlib import Path

import pandas
import torch
from datasets import Dataset, DatasetDict
from transformers import PreTrainedModel, SequenceFeatureExtractor, set_seed

from ser_hf.data import (
    Collator,
    SpectrogramMask,
)
from ser_hf.models import build_model
from ser_hf.models.backbone import SPECTROGRAM_MODELS
from ser_hf.publishing import push_to_hub, render_card
from ser_hf.training import (
    ModelArguments,
    SerTrainer,
    SerTrainingArguments,
    check_folder,
    claim_folder,
    last_checkpoint,
    parse_recipe,
    resolve_recipe,
)
from ser_hf.training.probe import probe_head
from ser_hf.training.results import (
    describe_training,
    mark_finished,
    read_results,
    tabulate_predictions,
    write_results,
)
from ser_hf.training.selection import load_speech, make_augmentation, write_problems

logger = logging.getLogger("ser_hf.recipes.finetune")
SCORED = ("validation", "test")


def main(argv: list[str]) -> None:
    """Run a recipe from its YAML to the scored, documented checkpoint."""
    logging.basicConfig(format="%(message)s")
    try:
        data, model_args, training = parse_recipe(argv)
        prepare_process(training)
        recipe = resolve_recipe(data, model_args, training)
        check_folder(training.output_dir, recipe)
        finished = read_results(training.output_dir)
        if finished and finished["training"]["epochs"] >= training.num_train_epochs:
            print(f"This recipe is finished: more --num_train_epochs would continue it.\n{tell(training.output_dir)}")
            return publish(training)
        with training.main_process_first(desc="reading the audio"):
            speech = load_speech(data)
        set_seed(training.seed)
        model, feature_extractor = make_model(model_args, training, speech.dataset)
        if training.process_index == 0:
            claim_folder(training.output_dir, recipe, speech.dataset)
            write_problems(data, speech, training.output_dir)
        checkpoint = last_checkpoint(training.output_dir)
        if model_args.head_init == "probe" and checkpoint is None:
            start_from_probe(model.to(training.device), speech.dataset["train"], feature_extractor, training)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")

    dataset = speech.dataset
    augment, mask = make_augmentation(data), make_mask(model_args, model)
    collator = Collator(feature_extractor, augment=augment, mask=mask, seed=training.seed)
    arguments = dataclasses.replace(training, push_to_hub=False)  # one push at the end, not the Trainer's many
    trainer = SerTrainer(model, arguments, collator, dataset=dataset, feature_extractor=feature_extractor)
    output = trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_model()
    tables = [tabulate_predictions(dataset[part], trainer.predict(dataset[part]).predictions) for part in SCORED]
    if not trainer.is_world_process_zero():
        return None

    results = write_results(
        training.output_dir,
        pandas.concat(tables),
        emotions=dataset["train"].features["label"].names,
        training=describe_training(
            model, trainer.state, output, processes=training.world_size, resumed=checkpoint is not None
        ),
        data=speech.described,
        log_history=trainer.state.log_history,
    )
    render_card(training.output_dir, results, repo_id=training.hub_model_id).save(
        Path(training.output_dir, "README.md")
    )
    mark_finished(training.output_dir, results)
    print(tell(training.output_dir))
    return publish(training)


def prepare_process(training: SerTrainingArguments) -> None:
    """Let rank 0 log, and give the processor's cores to the processes."""
    logging.getLogger("ser_hf").setLevel(logging.INFO if training.process_index == 0 else logging.ERROR)
    if training.use_cpu:  # accelerate launch gives a process one thread only
        torch.set_num_threads(max(1, os.cpu_count() // int(os.environ.get("LOCAL_WORLD_SIZE", 1))))
    if training.n_gpu > 1:
        raise ValueError(
            f"Expected a process per GPU, found one process that sees {training.n_gpu}. Launch with --config_file "
            "recipes/accelerate/multi_gpu.yaml, or set CUDA_VISIBLE_DEVICES=0."
        )


def make_model(
    model_args: ModelArguments, training: SerTrainingArguments, dataset: DatasetDict
) -> tuple[PreTrainedModel, SequenceFeatureExtractor]:
    """Return the model and its feature extractor, fitted to the labels and durations of the training split."""
    dropping_breaks = training.world_size > 1 or training.gradient_checkpointing
    return build_model(
        model_args.model_name_or_path,
        emotions=dataset["train"].features["label"].names,
        model_type=model_args.model_type,
        config_overrides=dict(item.split("=", 1) for item in model_args.config_overrides),
        freeze=model_args.freeze,
        layer_sum=model_args.layer_sum,
        masking=masking(model_args),
        longest=max(dataset["train"]["duration"]),
        layerdrop=0.0 if dropping_breaks else None,
        trust_remote_code=model_args.trust_remote_code,
    )


def start_from_probe(
    model: PreTrainedModel,
    dataset: Dataset,
    feature_extractor: SequenceFeatureExtractor,
    training: SerTrainingArguments,
) -> None:
    """Fit the head to the frozen encoder; every process does, so that all start from the same weights."""
    collator = Collator(feature_extractor)
    probe_head(model, dataset, collator, batch_size=training.per_device_eval_batch_size, bf16=training.bf16)


def masking(model_args: ModelArguments) -> dict[str, float]:
    """Return the recipe's SpecAugment settings under the names that configs give them."""
    names = ("mask_time_prob", "mask_time_length", "mask_feature_prob", "mask_feature_length")
    return {name: getattr(model_args, name) for name in names}


def make_mask(model_args: ModelArguments, model: PreTrainedModel) -> SpectrogramMask | None:
    """Return the mask of the spectrograms, for architectures that do not mask by themselves."""
    if model.config.model_type not in SPECTROGRAM_MODELS:
        return None
    return SpectrogramMask(**{name.removeprefix("mask_"): value for name, value in masking(model_args).items()})


def publish(training: SerTrainingArguments) -> None:
    """Push the finished folder, if asked."""
    if training.push_to_hub and training.process_index == 0:
        private = training.hub_private_repo is not False
        print(push_to_hub(training.output_dir, training.hub_model_id, private=private, token=training.hub_token))


def tell(folder: str) -> str:
    """Return what to print at the end: the score, where the checkpoint is, and three lines that use it."""
    test = read_results(folder)["test"]
    low, high = test["intervals"]["ua"]
    remote = ", trust_remote_code=True" if Path(folder, "modeling_mel.py").exists() else ""
    heard = f"{test['utterances']} utterances of {test['speakers'] or 'unknown'} speakers"
    return f"""
Test UA {test["ua"]:.3f}, 95 % interval {low:.3f} to {high:.3f} ({heard}).
The checkpoint is in {folder}, its card in {folder}/README.md. Use it:

from transformers import pipeline; import soundfile
waveform, _ = soundfile.read("utterance.wav", dtype="float32")  # mono, 16 kHz
print(pipeline("audio-classification", model="{folder}"{remote})(waveform))
"""


if __name__ == "__main__":
    main(sys.argv[1:])
