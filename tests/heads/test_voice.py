import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ser_hf.heads.voice import fit_voice_head
from ser_hf.heads.voice_files import load_voice_head, save_voice_head

EMOTIONS, INPUTS, SPEAKERS, EACH = 3, 12, 12, 8


def record(seed, *, speakers=SPEAKERS, each=EACH):
    """Return inputs, labels and speakers: emotions are 2 apart, speakers much more, and their scales differ."""
    rng = np.random.default_rng(seed)
    centres = 2 * np.eye(EMOTIONS, INPUTS)
    labels = np.tile(np.arange(EMOTIONS), speakers * each)
    names = np.repeat(np.arange(speakers), EMOTIONS * each)
    offsets, scales = rng.normal(0, 3, (speakers, INPUTS)), rng.uniform(0.7, 1.5, (speakers, 1))
    noise = rng.normal(0, 0.7, (len(labels), INPUTS))
    return (offsets[names] + scales[names] * (centres[labels] + noise)).astype(np.float32), labels, names


@pytest.fixture(scope="module")
def head():
    inputs, labels, names = record(0)
    return fit_voice_head(inputs, labels.tolist(), [f"s{name}" for name in names])


def recall(head, clips, inputs, labels):
    weight, bias = head.adapt(clips)
    return ((inputs @ weight.T + bias).argmax(1) == labels).mean()


@pytest.fixture(scope="module")
def strangers():
    inputs, labels, names = record(1)
    return [(inputs[names == name], labels[names == name]) for name in range(SPEAKERS)]


def test_a_head_that_is_adapted_to_clips_knows_the_voice_better_than_that_of_another_voice(head, strangers):
    own = np.mean([recall(head, inputs, inputs, labels) for inputs, labels in strangers])
    swapped = [(other, *voice) for (other, _), voice in zip(strangers[1:], strangers, strict=False)]
    other = np.mean([recall(head, *case) for case in swapped])
    assert own > 0.85 > 0.7 > other


def test_clips_of_one_emotion_do_not_move_it_to_the_middle_of_all_emotions(head, strangers):
    for emotion in range(EMOTIONS):
        one = np.mean([recall(head, x[y == emotion], x[y != emotion], y[y != emotion]) for x, y in strangers])
        few = np.mean([recall(head, x[:EACH], x[y != emotion], y[y != emotion]) for x, y in strangers])
        assert one > 0.5  # a third by chance
        assert few > 0.6


def test_more_clips_are_better(head, strangers):
    scores = [np.mean([recall(head, x[:n], x[12:], y[12:]) for x, y in strangers]) for n in (1, 3, 12)]
    assert scores == sorted(scores) and scores[2] > scores[0] + 0.05


def test_labels_of_a_few_clips_of_one_emotion_help_and_wrong_ones_harm(head, strangers):
    found = []
    for labels in (None, np.ones(3, int), np.zeros(3, int), np.array([1, -1, 1])):
        heads = [(head.adapt(x[y == 1][:3], labels), x[y != 1], y[y != 1]) for x, y in strangers]
        found.append(np.mean([((x @ w.T + b).argmax(1) == y).mean() for (w, b), x, y in heads]))
    assert found[1] > found[0] > found[2] + 0.1
    assert found[3] >= found[0]


def test_clips_in_other_units_are_answered_alike():
    inputs, labels, names = record(0)
    speakers, units = [f"s{name}" for name in names], np.geomspace(0.01, 100, INPUTS).astype(np.float32)
    plain, scaled = (fit_voice_head(x, labels.tolist(), speakers) for x in (inputs, inputs * units + 1))
    (weight, bias), (other, shift) = plain.adapt(inputs[:9]), scaled.adapt(inputs[:9] * units + 1)
    np.testing.assert_allclose(inputs @ weight.T + bias, (inputs * units + 1) @ other.T + shift, atol=2e-2)


def test_two_voices_spread_more_than_one(head, strangers):
    one = [head.spread_of(inputs) for inputs, _ in strangers]
    two = [
        head.spread_of(np.concatenate([x[:12], z[12:]]))
        for (x, _), (z, _) in zip(strangers, strangers[1:], strict=False)
    ]
    assert np.median(one) < head.spread < np.median(two)


def test_rare_emotions_count_as_much_as_frequent_ones_and_one_may_be_missing_for_a_speaker():
    inputs, labels, names = record(3)
    kept = (labels > 0) | ((np.arange(len(labels)) % 12 == 0) & (names > 1))
    head = fit_voice_head(inputs[kept], labels[kept].tolist(), [f"s{name}" for name in names[kept]])
    assert np.isfinite(np.concatenate([values.ravel() for values in head.arrays().values()])).all()
    x, y, names = record(4)
    found = [recall(head, x[names == i], x[(names == i) & (y == 0)], 0) for i in range(SPEAKERS)]
    assert np.mean(found) > 0.6


@pytest.mark.parametrize(
    ("speakers", "message"), [(["a", "b", "c"], "at least 4 training speakers .* found 3"), (["a", None], "found 1")]
)
def test_speakers_have_to_be_known_and_enough(speakers, message):
    count = len(speakers)
    with pytest.raises(ValueError, match=message):
        fit_voice_head(np.zeros((4 * count, 2), np.float32), [0, 1] * 2 * count, speakers * 4)


def test_a_saved_head_is_the_same_and_a_damaged_one_is_refused(head, strangers, tmp_path):
    save_voice_head(head, tmp_path)
    path = tmp_path / "voice.safetensors"
    loaded, clips = load_voice_head(path), strangers[0][0]
    for one, other in zip(head.adapt(clips), loaded.adapt(clips), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)
    assert loaded.spread_of(clips) == pytest.approx(head.spread_of(clips), rel=1e-3)
    arrays = load_file(path)
    for name, values in (("bias", np.zeros(5, np.float32)), ("mean", np.full(INPUTS, np.nan, np.float32))):
        save_file(arrays | {name: values}, path)
        with pytest.raises(ValueError, match=f"expected finite arrays that belong together, found others: {name}"):
            load_voice_head(path)
    path.write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="is damaged or of another version"):
        load_voice_head(path)


def test_an_emotion_that_only_one_speaker_has_is_no_error():
    inputs, labels, names = record(2, speakers=4, each=2)
    rare = labels.copy()
    rare[(labels == 2) & (names != 1)] = 0
    for own in (rare, 2 - rare):  # the rare emotion is the last, or the first
        head = fit_voice_head(inputs, own.tolist(), [f"s{name}" for name in names])
        assert all(np.isfinite(values).all() for values in head.arrays().values())
