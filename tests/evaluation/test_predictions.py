import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_hf.evaluation import Scores, compute_scores, read_predictions, summarize, write_predictions

EMOTIONS = ["angry", "happy", "sad"]
COLUMNS = ["path", "start", "end", "corpus", "speaker", "gender", "split", "target", "prediction"]
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), min_size=1, max_size=12)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def make_predictions(speakers, *, utterances=30, skills=None, seed=0):
    """Return a table of `utterances` per speaker, right with the probability `skills[speaker]`."""
    generator = np.random.default_rng(seed)
    rows = []
    for place, speaker in enumerate(speakers):
        for utterance in range(utterances):
            target = EMOTIONS[utterance % 3]
            right = generator.random() < (skills[place] if skills else 0.6)
            prediction = target if right else EMOTIONS[(utterance + 1) % 3]
            path, gender = f"{speaker}/{utterance:03d}.wav", ("female", "male")[place % 2]
            scores = generator.dirichlet([1, 1, 1])
            rows.append([path, None, None, "acted", speaker, gender, "test", target, prediction, *scores])
    return pandas.DataFrame(rows, columns=[*COLUMNS, *(f"score_{emotion}" for emotion in EMOTIONS)])


def width(summary, metric="ua"):
    low, high = summary.intervals[metric]
    return high - low


def test_the_file_is_the_documented_table(tmp_path):
    predictions = make_predictions(["01"], utterances=2)
    predictions["start"] = [0.0, None]
    predictions[["score_angry", "score_happy", "score_sad"]] = [[0.1, 0.2, 0.7], [1 / 3, 1 / 3, 1 / 3]]
    predictions["prediction"] = "sad"
    write_predictions(predictions, tmp_path / "predictions.csv")
    third = "0.3333333333333333"
    assert (tmp_path / "predictions.csv").read_text() == (
        "path,start,end,corpus,speaker,gender,split,target,prediction,score_angry,score_happy,score_sad\n"
        "01/000.wav,0.0,,acted,01,female,test,angry,sad,0.1,0.2,0.7\n"
        f"01/001.wav,,,acted,01,female,test,happy,sad,{third},{third},{third}\n"
    )


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(NAMES, st.none() | FLOATS, st.none() | FLOATS, NAMES, st.none() | NAMES, st.none() | NAMES, FLOATS),
        min_size=1,
        max_size=5,
    )
)
def test_a_table_survives_the_file_unchanged(rows):
    rows = [[*row[:6], "test", "NA", "null", row[6], float(np.float32(row[6] % 1))] for row in rows]
    predictions = pandas.DataFrame(rows, columns=[*COLUMNS, "score_NA", "score_null"])
    predictions = predictions.astype({"score_null": np.float32})  # as models give them
    with tempfile.TemporaryDirectory() as folder:
        write_predictions(predictions, Path(folder) / "predictions.csv")
        read = read_predictions(Path(folder) / "predictions.csv")
    back = [[None if pandas.isna(value) else value for value in row] for row in read.to_numpy(object)]
    assert list(read.columns) == list(predictions.columns)
    assert back == rows


def test_leading_zeros_commas_and_missing_values_survive_the_file(tmp_path):
    predictions = make_predictions(["01", "1", "1e3"], utterances=1)
    predictions["path"] = ["Émotion, 1/喜び.wav", 'quoted "x".wav', "two\nlines.wav"]
    predictions["speaker"] = ["01", "1", None]
    predictions["gender"] = [None, "male", None]
    write_predictions(predictions, tmp_path / "predictions.csv")
    read = read_predictions(tmp_path / "predictions.csv")
    assert read["path"].tolist() == predictions["path"].tolist()
    assert read["speaker"].tolist()[:2] == ["01", "1"]
    assert read["speaker"].isna().tolist() == [False, False, True]
    assert read["gender"].isna().tolist() == [True, False, True]
    assert read["start"].dtype == read["end"].dtype == np.float64
    write_predictions(read, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "predictions.csv").read_bytes()


@pytest.mark.parametrize(
    "columns",
    [
        COLUMNS,  # no score
        [*COLUMNS[1:], "score_sad"],
        [*COLUMNS, "sad"],
        ["start", "path", *COLUMNS[2:], "score_sad"],
        [*COLUMNS, "score_sad", "note"],
    ],
)
def test_a_table_of_other_columns_is_neither_written_nor_read(tmp_path, columns):
    predictions = pandas.DataFrame([["1"] * len(columns)], columns=columns)
    with pytest.raises(ValueError, match=f"Expected the columns path, start.*found {', '.join(columns)} in"):
        write_predictions(predictions, tmp_path / "predictions.csv")
    assert not (tmp_path / "predictions.csv").exists()
    predictions.to_csv(tmp_path / "foreign.csv", index=False)
    with pytest.raises(ValueError, match=r"Expected the columns path, start.*foreign\.csv"):
        read_predictions(tmp_path / "foreign.csv")


def test_a_summary_holds_the_scores_of_its_rows():
    predictions = make_predictions(["01", "02", "03"])
    summary = summarize(predictions, EMOTIONS)
    scores = compute_scores(predictions["target"], predictions["prediction"], EMOTIONS)
    for name in ("wa", "ua", "macro_f1", "per_emotion"):
        assert getattr(summary, name) == scores[name]
    assert summary.confusion == {"emotions": EMOTIONS, "counts": scores["confusion"]}
    assert (summary.utterances, summary.speakers, summary.interval_unit) == (90, 3, "speaker")


def test_a_summary_scores_each_speaker_alone():
    predictions = make_predictions(["02", "01"], skills=[0.9, 0.3])
    per_speaker = summarize(predictions, EMOTIONS).per_speaker
    assert list(per_speaker) == ["01", "02"]
    for name, gender in [("01", "male"), ("02", "female")]:
        rows = predictions[predictions["speaker"] == name]
        scores = compute_scores(rows["target"], rows["prediction"], EMOTIONS)
        assert per_speaker[name] == {
            "ua": scores["ua"],
            "wa": scores["wa"],
            "utterances": 30,
            "gender": gender,
        }


def test_a_summary_survives_json_and_the_file(tmp_path):
    predictions = make_predictions(["01", "02", "03"])
    predictions["gender"] = ["female"] * 30 + [None] * 60
    summary = summarize(predictions, EMOTIONS)
    assert Scores(**json.loads(json.dumps(asdict(summary)))) == summary
    write_predictions(predictions, tmp_path / "predictions.csv")
    assert summarize(read_predictions(tmp_path / "predictions.csv"), EMOTIONS) == summary


def test_the_interval_holds_the_score_and_depends_on_the_seed_alone():
    predictions = make_predictions([f"{speaker:02d}" for speaker in range(12)])
    summary = summarize(predictions, EMOTIONS, seed=1)
    for name in ("wa", "ua", "macro_f1"):
        low, high = summary.intervals[name]
        assert 0 <= low < getattr(summary, name) < high <= 1
    assert summarize(predictions, EMOTIONS, seed=1) == summary
    assert summarize(predictions, EMOTIONS, seed=2).intervals != summary.intervals


def test_the_speaker_interval_equals_that_of_a_naive_bootstrap_drawn_alike():
    predictions = make_predictions(["a", "b", "c", "d"], utterances=7, skills=[0.2, 0.5, 0.8, 0.9])
    predictions = predictions[~((predictions["speaker"] != "a") & (predictions["target"] == "sad"))]
    naive = []
    for draws in np.random.default_rng(3).multinomial(4, [0.25] * 4, size=50):
        drawn = [predictions[predictions["speaker"] == name] for name in np.repeat([*"abcd"], draws)]
        rows = pandas.concat(drawn)
        targets, answers = rows["target"].tolist(), rows["prediction"].tolist()
        present = {"labels": sorted(set(targets)), "average": "macro", "zero_division": 0}
        ua = sklearn.metrics.recall_score(targets, answers, **present)
        f1 = sklearn.metrics.f1_score(targets, answers, **present)
        naive.append([sklearn.metrics.accuracy_score(targets, answers), ua, f1])
    found = summarize(predictions, EMOTIONS, resamples=50, seed=3).intervals
    np.testing.assert_allclose([*found.values()], np.percentile(naive, [2.5, 97.5], axis=0).T)


def test_the_utterance_interval_equals_that_of_a_naive_bootstrap_up_to_chance():
    predictions = make_predictions([None], utterances=120)
    right = (predictions["target"] == predictions["prediction"]).to_numpy()
    naive = right[np.random.default_rng(0).integers(0, 120, size=(4000, 120))].mean(axis=1)
    found = summarize(predictions, EMOTIONS, resamples=4000).intervals["wa"]
    np.testing.assert_allclose(found, np.percentile(naive, [2.5, 97.5]), atol=0.012)


def test_the_interval_over_speakers_is_wider_when_speakers_differ():
    skills = [0.15, 0.95] * 6
    by_speaker = make_predictions([f"{speaker:02d}" for speaker in range(12)], skills=skills)
    by_utterance = by_speaker.assign(speaker=None)
    assert width(summarize(by_speaker, EMOTIONS)) > 2 * width(summarize(by_utterance, EMOTIONS))


def test_the_interval_has_its_width_in_theory_when_utterances_are_independent():
    summary = summarize(make_predictions([None], utterances=3000), EMOTIONS, resamples=4000)
    wa = summary.wa
    assert width(summary, "wa") == pytest.approx(2 * 1.96 * (wa * (1 - wa) / 3000) ** 0.5, rel=0.08)


@pytest.mark.parametrize(
    ("speakers", "unit", "warning"),
    [
        ([f"{speaker}" for speaker in range(10)], "speaker", None),
        (
            [*"abcd"],
            "speaker",
            "95 % interval from 4 speakers only: read it as a rough guide (10 or more make it dependable).",
        ),
        (
            ["a"],
            "utterance",
            "95 % interval over the utterances of one speaker: it says nothing about others.",
        ),
        (
            ["a", "b", None],
            "utterance",
            "95 % interval over utterances, as 30 of 90 utterances have no speaker: it is too narrow for new speakers.",
        ),
    ],
)
def test_a_summary_warns_of_an_interval_that_promises_too_much(speakers, unit, warning):
    summary = summarize(make_predictions(speakers), EMOTIONS)
    assert (summary.interval_unit, summary.warning) == (unit, warning)
    assert summary.speakers == len(summary.per_speaker) == len([*filter(None, speakers)])
    assert width(summary) > 0


def test_speakers_of_one_name_in_two_corpora_are_two_speakers():
    one = make_predictions(["01", "02"])
    two = make_predictions(["01"], seed=1).assign(corpus="natural")
    summary = summarize(pandas.concat([one, two]), EMOTIONS)
    assert [*summary.per_speaker] == ["acted/01", "acted/02", "natural/01"]
    assert summary.per_speaker["acted/01"]["utterances"] == 30


def test_an_emotion_without_utterances_is_kept_in_the_table_and_out_of_the_means():
    predictions = make_predictions(["01", "02"])
    summary = summarize(predictions, ["angry", "bored", "happy", "sad"])
    assert summary.per_emotion["bored"]["support"] == 0
    assert summary.ua == pytest.approx(summarize(predictions, EMOTIONS).ua)
    assert summary.intervals["ua"] == pytest.approx(summarize(predictions, EMOTIONS).intervals["ua"])


def test_a_summary_of_no_rows_or_of_an_unknown_emotion_is_an_error():
    predictions = make_predictions(["01"])
    with pytest.raises(ValueError, match="at least one utterance"):
        summarize(predictions[:0], EMOTIONS)
    with pytest.raises(ValueError, match="Unknown emotion 'sad'"):
        summarize(predictions, ["angry", "happy"])


def test_a_thousand_resamples_of_ten_thousand_rows_take_less_than_a_second():
    predictions = make_predictions([f"{speaker:03d}" for speaker in range(500)], utterances=20)
    start = time.process_time()
    summarize(predictions, EMOTIONS, resamples=1000)
    assert time.process_time() - start < 1
