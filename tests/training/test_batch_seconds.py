"""Training with batches by seconds of audio."""

import pytest
import torch
from architectures import feature_extractor, tiny_model
from transformers import set_seed
from transformers.trainer_utils import IntervalStrategy

from ser_hf.corpora import load_corpus
from ser_hf.data import Collator, build_dataset, prepare_audio
from ser_hf.models.padding import make_padding_aware
from ser_hf.runs.training_arguments import SerTrainingArguments
from ser_hf.training.trainer import SerTrainer


@pytest.fixture(scope="module")
def rows(toy_ravdess):
    """Twenty-four training utterances of 0.4 to 0.55 s, and a validation part."""
    utterances = list(load_corpus("ravdess", toy_ravdess))
    split, _ = prepare_audio({"train": utterances[:24], "validation": utterances[24:32]}, raw=("validation",))
    return build_dataset(split, {"ravdess": toy_ravdess}, raw=("validation",))


def make_trainer(rows, folder, *, name="wav2vec2-group", **options):
    """Return a trainer that saves every second step."""
    set_seed(0)
    model = tiny_model(name)
    make_padding_aware(model)
    arguments = SerTrainingArguments(
        str(folder), num_train_epochs=2, batch_seconds=3, learning_rate=1e-3, report_to="none",
        dataloader_num_workers=0, **options,
    )  # fmt: skip
    arguments.eval_strategy, arguments.save_strategy = IntervalStrategy.NO, IntervalStrategy.STEPS
    arguments.load_best_model_at_end, arguments.save_steps, arguments.save_total_limit = False, 2, None
    extractor = feature_extractor(name)
    return SerTrainer(model, arguments, Collator(extractor), dataset=rows, feature_extractor=extractor)


def record_batches(trainer):
    """Return the list that gets the shape ``(B, T)`` of each training batch."""
    shapes = []
    trainer.model.register_forward_pre_hook(
        lambda module, args, kwargs: shapes.append(tuple(kwargs["input_values"].shape)), with_kwargs=True
    )
    return shapes


def test_a_run_resumed_within_an_epoch_ends_with_the_weights_of_an_uninterrupted_one(rows, tmp_path):
    whole = make_trainer(rows, tmp_path / "whole")
    shapes = record_batches(whole)
    whole.train()
    assert len(shapes) == whole.state.global_step == whole.state.max_steps == 10
    assert max(batch * samples for batch, samples in shapes) <= 3 * 16_000
    assert {batch for batch, _ in shapes} >= {5, 6}
    resumed = make_trainer(rows, tmp_path / "resumed")
    resumed.train(str(tmp_path / "whole" / "checkpoint-6"))
    assert resumed.state.global_step == 10
    for name, weights in whole.model.state_dict().items():
        torch.testing.assert_close(resumed.model.state_dict()[name], weights, rtol=0, atol=0)


def test_accumulated_batches_of_a_step_have_equally_many_utterances(rows, tmp_path):
    trainer = make_trainer(rows, tmp_path, gradient_accumulation_steps=2)
    shapes = record_batches(trainer)
    trainer.train()
    assert trainer.state.global_step * 2 == len(shapes)
    sizes = [batch for batch, _ in shapes]
    assert sizes[::2] == sizes[1::2]


def test_batches_by_seconds_are_refused_where_all_utterances_are_padded_to_the_same_duration(rows, tmp_path):
    with pytest.raises(ValueError, match="batch_seconds: expected an architecture .* found whisper, .* Set per_device"):
        make_trainer(rows, tmp_path, name="whisper")
