"""Fine-tune any audio classifier of transformers on emotional speech, and score it on speakers it never heard.

    accelerate launch recipes/finetune.py recipes/configs/ravdess/wav2vec2_base.yaml --data_root ~/RAVDESS --seed 1

A recipe is a YAML file, whose keys the command line overrides; `--help` lists them. The output folder is a model
repository: any `pipeline("audio-classification")` loads it. Run again after an interruption, it goes on from its last
checkpoint. Run again with more epochs, a finished run continues; from there on the learning rate is what a run of the
new length has at that step.
"""

import dataclasses
import logging
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pandas
from transformers import set_seed

from ser_hf.evaluation import read_predictions, summarize
from ser_hf.evaluation.paired import paired_difference
from ser_hf.publishing import publish, render_card, write_answers, write_examples
from ser_hf.publishing.agreement import describe_agreement, is_agreed, measure_agreement
from ser_hf.runs.results import (
    PREDICTIONS,
    describe_context,
    describe_training,
    mark_finished,
    read_results,
    tabulate_predictions,
    write_results,
)
from ser_hf.runs.speech_data import Speech, audio_folders, load_speech, write_problems
from ser_hf.serving import EmotionClassifier
from ser_hf.training import (
    SerTrainer,
    SerTrainingArguments,
    check_folder,
    claim_folder,
    last_checkpoint,
    parse_recipe,
    resolve_recipe,
)
from ser_hf.training.calibration import calibrate, describe_calibration
from ser_hf.training.components import (
    make_collator,
    make_model,
    prepare_process,
    recommend_preprocessing,
    start_head,
)
from ser_hf.training.refit import refit

logger = logging.getLogger("ser_hf.recipes.finetune")
SCORED = ("validation", "test")  # parts that are scored as the stock pipeline receives them: raw and whole


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
            push(training)
            return
        with training.main_process_first(desc="reading the audio"):
            speech = load_speech(data, raw=SCORED, refit=training.refit)
        set_seed(training.seed)
        model, feature_extractor = make_model(model_args, training, speech.dataset)
        if training.process_index == 0:
            lock = claim_folder(training.output_dir, recipe, speech.dataset)  # held to the end of the run
            write_problems(data, speech, training.output_dir)
        checkpoint = last_checkpoint(training.output_dir)
        began = time.monotonic()
        if checkpoint is None or model_args.head_init == "readout":  # a readout's dimensions come before its weights
            head = model_args.head_init, model.to(training.device)
            model = start_head(*head, speech.dataset["train"], feature_extractor, training)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")

    dataset = speech.dataset
    collator = make_collator(data, model_args, training, model, feature_extractor)
    arguments = dataclasses.replace(training, push_to_hub=False)  # one push at the end, not the Trainer's many
    trainer = SerTrainer(model, arguments, collator, dataset=dataset, feature_extractor=feature_extractor)
    if training.num_train_epochs:
        trainer.train(resume_from_checkpoint=checkpoint)
    logits = {"validation": trainer.predict(dataset["validation"]).predictions}
    logits["validation"] = calibrate(model, dataset["validation"], logits["validation"])
    if training.refit:
        refit(trainer, data, model_args, dataset)
    seconds = time.monotonic() - began
    if data.recommended_trim != "none":
        recommend_preprocessing(model.config, data)
    trainer.save_model()
    shutil.rmtree(Path(training.output_dir, "onnx"), ignore_errors=True)  # of the weights before
    logits["test"] = trainer.predict(dataset["test"]).predictions
    if not trainer.is_world_process_zero():
        return
    described = describe_training(
        model,
        trainer.state,
        seconds=seconds,
        processes=training.world_size,
        resumed=checkpoint is not None,
        refit=training.refit,
    )
    write_evidence(trainer, speech, logits, described, audio_folders(data))
    lock.release()
    print(tell(training.output_dir))
    push(training)


def write_evidence(
    trainer: SerTrainer, speech: Speech, logits: dict[str, np.ndarray], described: dict, folders: dict[str, Path]
) -> None:
    """Write predictions, figures, answers, examples, card and, last of all, all_results.json into the output folder."""
    folder, dataset = Path(trainer.args.output_dir), speech.dataset
    results = write_results(
        folder,
        pandas.concat([tabulate_predictions(dataset[part], logits[part]) for part in logits]),
        emotions=dataset["train"].features["label"].names,
        training=described,
        data=speech.described,
        log_history=trainer.state.log_history,
    )
    results["calibration"] = describe_calibration(trainer.model, dataset, logits, folder)
    if preprocessing := getattr(trainer.model.config, "recommended_preprocessing", None):
        results["recommended"] = score_recommended(folder, folders, preprocessing)
    results["context"] = describe_context(trainer.model.config, dataset)
    results["agreement"] = measure_agreement(folder, folders)
    if is_agreed(results["agreement"]):
        write_answers(folder)
    else:
        logger.error(f"Finished, but not publishable: {describe_agreement(results['agreement'])}.")
    write_examples(folder)
    render_card(folder, results, repo_id=trainer.args.hub_model_id).save(folder / "README.md")
    mark_finished(folder, results)


def score_recommended(folder: Path, folders: dict[str, Path], preprocessing: dict) -> dict | None:
    """Score the test utterances by ser_hf with the recommended preprocessing, paired with the stock pipeline's scores.

    Returns:
        "preprocessing", "test" (as `summarize`) and "difference" from the stock pipeline (as `paired_difference`). None
        where ser_hf refuses an utterance, which is logged.
    """
    stock = read_predictions(folder / PREDICTIONS).query("split == 'test'")
    classifier = EmotionClassifier.from_pretrained(folder, backend="torch", preprocessing="recommended")
    rows = stock.astype(object).where(stock.notna(), None)
    files = [(folders[row.corpus] / row.path, row.start, row.end) for row in rows.itertuples()]
    try:
        answers = list(classifier.predict_files(files))
        if refused := [f"{answer.path}: {answer.error}" for answer in answers if answer.error]:
            raise ValueError(f"{len(refused)} test utterances are refused (first: {refused[0]})")
    except ValueError as error:
        logger.error(f"The recommended preprocessing was not scored: {error}")
        return None
    table = stock.assign(prediction=[answer.emotion for answer in answers])
    return {
        "preprocessing": preprocessing,
        "test": summarize(table, classifier.emotions),
        "difference": paired_difference(stock, table, classifier.emotions),
    }


def push(training: SerTrainingArguments) -> None:
    """Publish the finished folder, if asked."""
    if not training.push_to_hub or training.process_index:
        return
    public = training.hub_private_repo is False
    try:
        print(publish(training.output_dir, training.hub_model_id, public=public, token=training.hub_token))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def tell(folder: str) -> str:
    """Return what to print at the end: the score, where the checkpoint is, and three lines that use it."""
    results = read_results(folder)
    test = results["test"]
    low, high = test["intervals"]["ua"]
    remote = ", trust_remote_code=True" if Path(folder, "modeling_mel.py").exists() else ""
    heard = f"{test['utterances']} utterances of {test['speakers'] or 'unknown'} speakers"
    return f"""
Test UA {test["ua"]:.3f}, 95 % interval {low:.3f} to {high:.3f} ({heard}).
The stock pipeline on the raw test files: {describe_agreement(results["agreement"])}.
The checkpoint is in {folder}, its card in {folder}/README.md. Use it:

from transformers import pipeline; import soundfile
waveform, _ = soundfile.read("utterance.wav", dtype="float32")  # mono, 16 kHz
print(pipeline("audio-classification", model="{folder}"{remote})(waveform, top_k=None))
"""


if __name__ == "__main__":
    main(sys.argv[1:])
