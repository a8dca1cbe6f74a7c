import numpy as np
import pytest
import torch
from architectures import CONFIGS, feature_extractor
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2ForPreTrainingOutput

from ser_hf.runs.pretraining_arguments import PretrainingArguments
from ser_hf.training.pretraining import MaskingCollator, TemperatureCallback, count_frames, mean_loss


@pytest.fixture(scope="module")
def rows(tmp_path_factory, write_audio):
    """Three dataset rows of 0.1 s, 0.5 s and 1.5 s."""
    folder, rows = tmp_path_factory.mktemp("audio"), []
    for index, seconds in enumerate((0.1, 0.5, 1.5)):
        path = folder / f"{index}.wav"
        write_audio(path, seconds=seconds)
        row = {"audio": {"path": str(path)}, "index": index, "split": "train", "raw": True, "start": None, "end": None}
        rows.append(row)
    return rows


@pytest.fixture
def collator():
    arguments = PretrainingArguments(model_type="wav2vec2", mask_time_length=3)
    config = CONFIGS["wav2vec2-group"]()
    return MaskingCollator(feature_extractor("wav2vec2-group"), config, arguments, seed=1)


def test_negatives_are_other_masked_frames_of_the_same_utterance(collator, rows):
    batch = collator(rows)
    assert batch["labels"].shape == batch["mask_time_indices"].shape == (3, 75)
    assert batch["labels"].eq(0).equal(batch["mask_time_indices"])
    for i, frames in enumerate((12, 25, 75)):  # the first is padded to 0.25 s
        masked = batch["mask_time_indices"][i].nonzero().flatten()
        assert len(masked) >= 4 and masked.max() < frames
        for frame in masked.tolist():
            negatives = batch["sampled_negative_indices"][i, frame] - 75 * i
            assert len(negatives) == 100 and set(negatives.tolist()) <= set(masked.tolist()) - {frame}


def test_the_mask_of_an_utterance_depends_on_seed_and_epoch_but_not_on_its_batch(collator, rows):
    before = np.random.get_state()[1].copy()
    batch = collator(rows)
    assert (np.random.get_state()[1] == before).all()
    alone = collator(rows[1:2])["mask_time_indices"]
    assert alone[0].equal(batch["mask_time_indices"][1, :25])
    collator.epoch.fill_(1)
    assert not collator(rows[1:2])["mask_time_indices"].equal(alone)


def test_validation_masks_are_the_same_in_every_epoch(collator, rows):
    rows = [row | {"split": "validation"} for row in rows]
    first = collator(rows)
    collator.epoch.fill_(5)
    again = collator(rows)
    assert all(first[name].equal(again[name]) for name in first)


def test_frames_are_counted_as_the_model_counts_them():
    config = CONFIGS["wav2vec2-group"]()  # kernels 10, 8, 4 and strides 5, 8, 8
    assert count_frames(torch.tensor([4000, 16_000]), config).tolist() == [12, 50]


def test_the_loss_is_the_mean_over_the_masked_frames_of_a_step():
    labels = torch.tensor([[0, -100, 0, 0]])
    outputs = Wav2Vec2ForPreTrainingOutput(loss=torch.tensor(6.0))
    assert mean_loss(outputs, labels) == 2.0
    assert mean_loss(outputs, labels, torch.tensor(12)) == 0.5  # with nine masked frames in other mini-batches


def test_the_temperature_decays_exponentially_over_the_training():
    class Model:
        def set_gumbel_temperature(self, value):
            self.temperature = value

    class State:
        max_steps = 4

    model, callback, found = Model(), TemperatureCallback(2.0, 0.5), []
    for State.global_step in range(4):
        callback.on_step_begin(None, State, None, model)
        found.append(model.temperature)
    assert found == pytest.approx([2, 2**0.5, 1, 0.5**0.5])
