"""Fine-tune any audio classifier of transformers on emotional speech, and score it on new speakers."""

import dataclasses
import logging
import shutil
import time
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas
from datasets import DatasetDict
from torch import nn
from transformers import PreTrainedModel, SequenceFeatureExtractor, set_seed

from ser_hf.evaluation import read_predictions, write_predictions
from ser_hf.evaluation.figures import plot_curves
from ser_hf.models.adapters import merge_adapter, save_adapter
from ser_hf.publishing import publish, render_card, write_answers, write_examples
from ser_hf.publishing.agreement import describe_agreement, is_agreed, measure_agreement
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.file_names import ADAPTER, AUXILIARY, CARD, CONDITIONS_FIGURE, FIGURES, PREDICTIONS
from ser_hf.runs.folder import check_folder, claim_folder
from ser_hf.runs.model_arguments import ModelArguments
from ser_hf.runs.prediction_rows import tabulate_dataset
from ser_hf.runs.pretraining_record import check_test_speakers
from ser_hf.runs.recipe import resolve_recipe
from ser_hf.runs.result_records import Results, TrainingRecord
from ser_hf.runs.results import read_results, write_results
from ser_hf.runs.score_table import describe_results
from ser_hf.runs.speech_data import Speech, audio_folders, common_scale, load_speech, write_findings, write_problems
from ser_hf.runs.task_options import complete_arguments
from ser_hf.runs.training_arguments import SerTrainingArguments
from ser_hf.runs.training_speech import write_training_speech
from ser_hf.scoring.recommended import score_recommended
from ser_hf.tasks import load_task, name_task
from ser_hf.terminal import wrap
from ser_hf.training.auxiliary import check_auxiliary, narrow_head, save_auxiliary
from ser_hf.training.components import (
    check_setup,
    make_model,
    make_trainer,
    prepare_process,
    recommend_preprocessing,
    start_head,
)
from ser_hf.training.record import describe_context, describe_training
from ser_hf.training.refit import refit
from ser_hf.training.rehearsal import rehearse
from ser_hf.training.trainer import SerTrainer
from ser_hf.training.trainer_state import best_evaluation, last_checkpoint
from ser_hf.training.training_speech import describe_training_speech
from ser_hf.training.voice import check_voices, store_voice_head

logger = logging.getLogger(__name__)
SCORED = ("validation", "test")  # parts that are neither trimmed nor split into windows, as in the stock pipeline


def finetune(data: DataArguments, model_args: ModelArguments, training: SerTrainingArguments) -> Results | None:
    """Train, calibrate, score and document a checkpoint in `training.output_dir`, a model repository.

    An interrupted run resumes from its last checkpoint. The results of a finished run are returned, or the run is
    continued if `training.num_train_epochs` is larger than before; the learning rate then follows the schedule of a run
    of the new length.

    Args:
        data: Corpora, labels, split and augmentation.
        model_args: Encoder and its trained parts.
        training: Training arguments.

    Returns:
        The results; None in all processes of a distributed run except the first.

    Raises:
        ValueError: If a corpus, a label or an argument is not as expected.
        OSError: If a file is missing, or the output folder contains another run.
    """
    model_args, training = complete_arguments(data, [model_args, training])
    check_auxiliary(data, model_args)
    prepare_process(training)
    recipe = resolve_recipe(data, model_args, training)
    check_folder(training.output_dir, recipe)
    finished = read_results(training.output_dir)
    if finished and finished.training and (finished.training.epochs or 0) >= training.num_train_epochs:
        logger.info("This recipe is finished. A larger --num_train_epochs continues it.")
        _push(training)
        return finished
    check_setup(data, model_args, training)
    with training.main_process_first(desc="reading the audio"):
        speech = load_speech(data, raw=SCORED, refit=training.refit, output_dir=training.output_dir)
    if speech.split.speaker_independent:
        check_test_speakers(model_args.model_name_or_path, speech.dataset["test"])
    set_seed(training.seed)
    model, feature_extractor = make_model(data.task, speech.outputs, model_args, training, speech.dataset)
    if scale := common_scale(data):
        model.config.rating_scale = list(scale)
    if model_args.voice_head:
        check_voices(model, speech.dataset["refit" if training.refit else "train"])
    if training.rehearse:
        rehearse(model, feature_extractor, speech.dataset, training)
    first = training.process_index == 0
    with claim_folder(training.output_dir, recipe, speech.dataset) if first else nullcontext():
        if first:
            write_problems(speech.problems, training.output_dir)
            write_findings(data, speech.findings, training.output_dir)
        trainer, logits, record = _train(data, model_args, training, speech, model, feature_extractor)
        results = _write_evidence(trainer, speech, logits, record, audio_folders(data)) if first else None
    _push(training)
    return results


def _train(
    data: DataArguments,
    model_args: ModelArguments,
    training: SerTrainingArguments,
    speech: Speech,
    model: PreTrainedModel,
    feature_extractor: SequenceFeatureExtractor,
) -> tuple[SerTrainer, dict[str, np.ndarray], TrainingRecord]:
    """Train, calibrate and save the checkpoint; return its trainer, the logits of each scored part, and the record."""
    dataset, task = speech.dataset, load_task(data.task)
    checkpoint = last_checkpoint(training.output_dir)
    start = time.monotonic()
    if checkpoint is None or model_args.head_init == "readout":  # a readout changes the shape of the head
        model = model.to(training.device)  # type: ignore[arg-type]
        model = start_head(model_args, model, dataset["train"], feature_extractor, data=data, training=training)
    arguments = dataclasses.replace(training, push_to_hub=False, hub_token=None)  # one push at the end
    arguments.eval_on_start |= checkpoint is None and model_args.head_init != "random"
    trainer = make_trainer(model, feature_extractor, dataset, data=data, model_args=model_args, training=arguments)
    if training.num_train_epochs:
        trainer.train(resume_from_checkpoint=checkpoint)
        if best_evaluation(trainer)["epoch"] == 0:
            logger.warning(
                f"No epoch was better than the start (head_init: {model_args.head_init}) on the validation speakers, "
                "so the start is kept. Lower --learning_rate, or freeze more layers."
            )
    auxiliary = narrow_head(trainer.model, trainer.compute_loss_func)
    logits: dict[str, Any] = {"validation": trainer.predict(dataset["validation"]).predictions}
    if task.calibrate:
        logits["validation"] = task.calibrate(trainer.model, dataset["validation"], logits["validation"])
    if training.refit:
        auxiliary = refit(trainer, data, model_args, dataset)
    seconds = time.monotonic() - start
    _save(trainer, auxiliary, data, model_args, dataset)
    logits["test"] = trainer.predict(dataset["test"]).predictions
    return trainer, logits, describe_training(trainer, seconds=seconds, resumed=checkpoint is not None)


def _save(
    trainer: SerTrainer,
    auxiliary: nn.Linear | None,
    data: DataArguments,
    model_args: ModelArguments,
    dataset: DatasetDict,
) -> None:
    """Save the checkpoint; beside it the adapter, the model of the auxiliary task and the head for known voices."""
    model, training, feature_extractor = trainer.model, trainer.args, trainer.data_collator.feature_extractor
    folder, first = Path(training.output_dir), trainer.is_world_process_zero()
    if data.recommended_trim != "none":
        recommend_preprocessing(model.config, data)
    if model_args.adapter:
        if first:
            save_adapter(model, folder / ADAPTER)
        merge_adapter(model)
    trainer.save_model()
    if auxiliary and first:
        dimensions = list(trainer.data_collator.ratings)
        scale = common_scale(dataclasses.replace(data, task="dimensions"))
        assert scale is not None  # of the task "dimensions"
        save_auxiliary(
            model, feature_extractor, auxiliary, dimensions=dimensions, scale=scale, folder=folder / AUXILIARY
        )
    if model_args.voice_head and first:
        store_voice_head(model, dataset["refit" if training.refit else "train"], feature_extractor, training)
    shutil.rmtree(folder / "onnx", ignore_errors=True)  # exports of the previous weights


def _write_evidence(
    trainer: SerTrainer,
    speech: Speech,
    logits: dict[str, np.ndarray],
    record: TrainingRecord,
    folders: dict[str, Path],
) -> Results:
    """Write predictions, figures, answers, examples, card and results in this order, and return the results."""
    folder, dataset, config = Path(trainer.args.output_dir), speech.dataset, trainer.model.config
    name, outputs = name_task(config), speech.outputs
    task = load_task(name)
    tables = [tabulate_dataset(dataset[part], logits[part], task, outputs) for part in logits]
    write_predictions(pandas.concat(tables), folder / PREDICTIONS)
    predictions = read_predictions(folder / PREDICTIONS)
    parts = {part: task.summarize(predictions[predictions["split"] == part], outputs) for part in SCORED}
    task.draw_scores(parts["test"], predictions[predictions["split"] == "test"], folder / FIGURES)
    _draw_curves(trainer, task, record, folder / FIGURES)
    (folder / FIGURES / CONDITIONS_FIGURE).unlink(missing_ok=True)  # of the previous weights
    agreement = measure_agreement(folder, folders)
    results = Results(
        outputs,
        **parts,
        task=name,
        split=speech.split,
        audio=speech.audio,
        audit=speech.audit,
        training=record,
        calibration=task.calibrate and task.describe_calibration(trainer.model, dataset, logits, folder / FIGURES),
        context=describe_context(config, dataset),
        agreement=agreement,
        rating_scale=getattr(config, "rating_scale", None),
    )
    if preprocessing := getattr(config, "recommended_preprocessing", None):
        results.recommended = score_recommended(folder, folders, preprocessing, task)
    if is_agreed(agreement):
        write_answers(folder)
    else:
        logger.error(f"Finished, but not publishable: {describe_agreement(agreement)}.")
    write_examples(folder)
    spoken = describe_training_speech(trainer.model, trainer.data_collator.feature_extractor, dataset, list(folders))
    write_training_speech(folder, spoken)
    render_card(folder, results, repo_id=trainer.args.hub_model_id).save(folder / CARD)
    write_results(folder, results)
    return results


def _draw_curves(trainer: SerTrainer, task: ModuleType, record: TrainingRecord, folder: Path) -> None:
    """Draw losses and scores by epoch, if there was an epoch."""
    if record.epochs_run:
        name, metric = next(iter(task.METRICS.items()))
        plot_curves(
            trainer.state.log_history,
            folder / "curves.png",
            best_epoch=record.best_epoch,
            metric=name,
            title=metric.short,
            percent=task.PERCENT,
        )


def _push(training: SerTrainingArguments) -> None:
    """Publish the output folder if `push_to_hub` is set."""
    if not training.push_to_hub or training.process_index:
        return
    public = training.hub_private_repo is False
    assert training.hub_model_id is not None
    logger.info(publish(training.output_dir, training.hub_model_id, public=public, token=training.hub_token))


def describe_run(results: Results, folder: str) -> str:
    """Return the final message: the scores, the folder of the checkpoint, and what to do next."""
    remote = ", trust_remote_code=True" if Path(folder, "modeling_mel.py").exists() else ""
    compared = describe_agreement(results.agreement) if results.agreement else "not compared by that version of ser_hf"
    return f"""
{describe_results(results)}
{wrap(f"Stock pipeline, raw test files: {compared}.")}
The checkpoint is in {folder}, its card in {folder}/{CARD}.

Use it in Python:
  from transformers import pipeline; import soundfile
  waveform, _ = soundfile.read("utterance.wav", dtype="float32")  # mono, 16 kHz
  print(pipeline("audio-classification", model="{folder}"{remote})(waveform, top_k=None))

On the command line:
  ser-hf demo --model {folder}
  ser-hf predict ~/recordings --model {folder} --output predictions.csv
  ser-hf publish {folder} --check
"""
