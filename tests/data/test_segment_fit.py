import pytest
import soundfile

from ser_hf.corpora.speech_synthesis import synthesize
from ser_hf.data.segment_fit import describe_misfit


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Eight recordings of 2.0 to 2.7 s at 16 kHz."""
    folder = tmp_path_factory.mktemp("clips")
    for i in range(8):
        waveform = synthesize("sad", 1, i + 1)
        waveform = [*waveform, *waveform, *waveform][: 32_000 + 1_600 * i]
        soundfile.write(folder / f"{i}.wav", waveform, 16_000)
    return [str(folder / f"{i}.wav") for i in range(8)]


def test_times_within_the_files_fit(files):
    assert describe_misfit([(path, 0.1, 1.9) for path in files]) is None
    assert describe_misfit([(path, None, None) for path in files]) is None
    assert describe_misfit([(path, 0.5, 2.4) for path in files]) is None  # rounded times
    assert describe_misfit([]) is None


def test_a_single_wrong_row_of_many_is_no_misfit(files):
    times = [(path, 0.1, 1.9) for path in files * 2]
    assert describe_misfit([*times, (files[0], 9.0, 10.0)]) is None


@pytest.mark.parametrize(
    ("times", "cause"),
    [
        (lambda i: (100.0 * i, 100.0 * i + 2.0 + 0.1 * i), r"start of the dialogue.*--columns start= end="),
        (lambda i: (5.0 + i, None), r"start of the dialogue.*--columns start= end="),
        (lambda i: (250.0, 1_900.0), "probably milliseconds: divide both columns by 1000"),
        (lambda i: (4_000.0, 30_000.0), "probably samples: divide both columns by 16000"),
        (lambda i: (1.5, 0.4), "end before they start: is the column of the end one of durations"),
        (lambda i: (-2.0, 1.0), "Most starts are negative"),
    ],
    ids=["dialogue", "dialogue without ends", "milliseconds", "samples", "reversed", "negative"],
)
def test_the_likely_cause_is_named_with_what_mends_it(files, times, cause):
    rows = [(path, *times(i)) for i, path in enumerate(files)]
    with pytest.raises(ValueError, match=cause):
        raise ValueError(describe_misfit(rows))


def test_many_segments_of_one_file_beyond_its_end_belong_to_another_file(files):
    misfit = describe_misfit([(files[0], float(i), i + 0.9) for i in range(20)])
    assert misfit.startswith("18 of 20 segments are not within their files (first: ")
    assert "Do the times belong to other files?" in misfit


def test_files_that_cannot_be_read_are_ignored(files, tmp_path):
    assert describe_misfit([(str(tmp_path / "missing.wav"), 5.0, 6.0), (files[0], 0.0, 1.0)]) is None
