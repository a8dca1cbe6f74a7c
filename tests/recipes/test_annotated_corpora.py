"""Votes and ratings of IEMOCAP and MSP-Podcast, end to end: from the files of their owners to a stock checkpoint."""

import json

import pytest
import soundfile
from annotated_corpora import DETAILED, write_iemocap_labels, write_msp_tables
from transformers import pipeline

from ser_hf import EmotionClassifier
from ser_hf.evaluation import read_predictions
from ser_hf.publishing.gate import run_gate

# Emotion of a turn and the choices of its annotators; the last turn has no majority.
IEMOCAP_TURNS = [
    ("ang", ["Anger", "Anger", "Frustration"]),
    ("exc", ["Excited", "Happiness; Excited", "Neutral"]),
    ("neu", ["Neutral", "Neutral", "Sadness"]),
    ("sad", ["Sadness", "Sadness", "Sadness"]),
    ("fru", ["Frustration", "Frustration", "Anger"]),
    ("xxx", ["Anger", "Sadness", "Neutral"]),
]
MSP_TURNS = [
    ("A", ["Angry", "Angry", "Disgust", "Angry", "Other-Annoyed"]),
    ("H", ["Happy", "Happy", "Happy", "Neutral", "Surprise"]),
    ("N", ["Neutral", "Neutral", "Neutral", "Sad", "Happy"]),
    ("S", ["Sad", "Sad", "Neutral", "Sad", "Sad"]),
    ("X", ["Happy", "Happy", "Neutral", "Neutral", "Angry"]),
    ("O", ["Other-Bored", "Other-Tired", "Other", "Neutral", "Sad"]),
]
MSP_SPEAKERS = {
    "11": "Train", "12": "Train", "13": "Train", "14": "Train", "Unknown": "Train", "21": "Development",
    "22": "Development", "31": "Test1", "32": "Test1", "41": "Test2",
}  # fmt: skip


@pytest.fixture(scope="module")
def iemocap_tree(tmp_path_factory, write_audio):
    """Five sessions with a dialogue each, and six turns of either speaker, whose ratings follow their order."""
    root = tmp_path_factory.mktemp("iemocap") / "IEMOCAP_full_release"
    for session in range(1, 6):
        for speaker in "FM":
            for turn, (emotion, choices) in enumerate(IEMOCAP_TURNS):
                name = f"Ses0{session}F_impro01_{speaker}{turn:03d}"
                means = (1.5 + turn / 2, 2 + turn / 4, 5 - turn / 2)
                path = write_iemocap_labels(root, name, emotion, [f"{choice};\t()" for choice in choices], means)
                write_audio(path, seconds=0.4, frequency=150 + 100 * turn + 5 * session)
    return root


@pytest.fixture(scope="module")
def msp_tree(tmp_path_factory, write_audio):
    """Ten speakers with six turns each, rated by five workers; one is unknown, one is in the second test set."""
    root, rows, detailed = tmp_path_factory.mktemp("msp"), [], DETAILED
    for podcast, (speaker, part) in enumerate(MSP_SPEAKERS.items(), start=1):
        for turn, (emotion, choices) in enumerate(MSP_TURNS):
            name = f"MSP-PODCAST_{podcast:04d}_{turn:04d}.wav"
            rows.append(f"{name},{emotion},{1 + 1.2 * turn:.1f},4.0,{7 - turn},{speaker},Female,{part}")
            for worker, choice in enumerate(choices):
                detailed += f'{name},"WORKER{worker:08d}; {choice}; {choice},Concerned; A:5.0; V:5.0; D:4.0;"\n'
            write_audio(root / "Audios" / name, seconds=0.4, frequency=150 + 100 * turn + 5 * podcast)
    write_msp_tables(root, rows, detailed)
    return root


@pytest.fixture
def train(finetune, iemocap_tree, msp_tree):
    """Train on a tree: ``train("iemocap", "--task", "votes")`` returns test predictions, results and output folder."""
    options = {
        "iemocap": (iemocap_tree, "--protocol", "leave_one_session_out", "--fold", "1"),
        "msp_podcast": (msp_tree, "--split", "given"),
    }

    def run(corpus, *argv):
        root, *split = options[corpus]
        out = finetune(*split, *argv, corpus=corpus, data_root=root)
        assert all(check.passed for check in run_gate(out))
        predictions = read_predictions(out / "predictions.csv").query("split == 'test'").reset_index(drop=True)
        return predictions, json.loads((out / "all_results.json").read_text(encoding="utf-8")), out

    return run


def shares(predictions, name):
    """Return the shares of the votes for each emotion of the turn with this end of its name."""
    (row,) = predictions[predictions["path"].str.endswith(name)].to_dict("records")
    return row["target"], {key.removeprefix("target_"): row[key] for key in row if key.startswith("target_")}


@pytest.mark.slow
def test_the_votes_of_iemocap_with_turns_that_have_no_majority(train):
    predictions, results, out = train("iemocap", "--task", "votes", "--label_set", "four")
    assert results["outputs"] == ["angry", "happy", "neutral", "sad"]
    assert results["split"]["test"]["speakers"] == ["01F", "01M"]
    # turns whose majority is "frustrated" are left out, and its votes in the other turns
    assert results["audio"]["dropped_emotions"] == {"frustrated": 10}
    assert results["split"]["test"]["emotions"] == {"angry": 2, "happy": 2, "neutral": 2, "no_agreement": 2, "sad": 2}
    assert shares(predictions, "F000.wav") == ("angry", {"angry": 1, "happy": 0, "neutral": 0, "sad": 0})
    assert shares(predictions, "F001.wav") == ("happy", {"angry": 0, "happy": 0.75, "neutral": 0.25, "sad": 0})
    third = pytest.approx(1 / 3)
    assert shares(predictions, "M005.wav") == ("", {"angry": third, "happy": 0, "neutral": third, "sad": third})
    assert (results["test"]["utterances"], results["test"]["majority"]["utterances"]) == (10, 8)
    answers = pipeline("audio-classification", model=str(out))
    assert set(answers.model.config.id2label.values()) == {"angry", "happy", "neutral", "sad"}


@pytest.mark.slow
def test_the_votes_of_msp_podcast_on_the_partitions_of_its_owners(train):
    predictions, results, _ = train("msp_podcast", "--task", "votes", "--label_map", "other=")
    assert results["outputs"] == ["angry", "happy", "neutral", "sad"]
    split = results["split"]
    assert [split[part]["utterances"] for part in ("train", "validation", "test")] == [25, 10, 10]
    assert results["audio"]["dropped_emotions"] == {"other": 10}
    assert split["test"]["speakers"] == ["31", "32"]
    assert shares(predictions, "0008_0000.wav") == ("angry", {"angry": 1, "happy": 0, "neutral": 0, "sad": 0})
    assert shares(predictions, "0008_0002.wav") == ("neutral", {"angry": 0, "happy": 0.2, "neutral": 0.6, "sad": 0.2})
    assert shares(predictions, "0008_0004.wav") == ("", {"angry": 0.2, "happy": 0.4, "neutral": 0.4, "sad": 0})
    assert (results["test"]["utterances"], results["test"]["majority"]["utterances"]) == (10, 8)


@pytest.mark.slow
def test_the_ratings_of_iemocap_from_1_to_5(train, iemocap_tree):
    predictions, results, out = train("iemocap", "--task", "dimensions")
    assert results["rating_scale"] == [1, 5]
    assert results["outputs"] == ["arousal", "valence", "dominance"]
    assert results["split"]["test"]["emotions"]["no_agreement"] == 2
    columns = ["target_valence", "target_arousal", "target_dominance"]
    ratings = predictions.sort_values("path")[columns].to_numpy().tolist()
    assert ratings[:3] == [[0.125, 0.25, 1.0], [0.25, 0.3125, 0.875], [0.375, 0.375, 0.75]]
    samples, _ = soundfile.read(iemocap_tree / predictions["path"][0], dtype="float32")
    shown = EmotionClassifier.from_pretrained(out)(samples, sampling_rate=16_000)
    assert all(1 <= value <= 5 for value in shown.values())


def test_the_ratings_of_msp_podcast_from_1_to_7(train):
    predictions, results, out = train("msp_podcast", "--task", "dimensions", "--dimensions", "dominance", "arousal")
    assert results["rating_scale"] == [1, 7]
    columns = ["target_arousal", "target_dominance"]
    ratings = predictions.sort_values("path")[columns].to_numpy().tolist()
    expected = [[0, 1], [0.2, 5 / 6], [0.4, 4 / 6], [0.6, 0.5], [0.8, 2 / 6], [1, 1 / 6]]
    assert ratings[:6] == [pytest.approx(row) for row in expected]
    assert "1 + 6 × value is the rating on the scale of the" in (out / "README.md").read_text(encoding="utf-8")
