"""The cost of a table of predictions grows as the number of files does."""

import time

import pytest
from architectures import feature_extractor, tiny_model

from ser_hf.cli import main

pytestmark = pytest.mark.slow


def test_a_thousand_files_take_at_most_ten_and_a_half_times_the_time_of_a_hundred(tmp_path, write_audio, capsys):
    for part in (tiny_model("wav2vec2-group"), feature_extractor("wav2vec2-group")):
        part.save_pretrained(tmp_path / "model")
    for i in range(1_000):
        write_audio(tmp_path / f"clips/{i // 100}/{i}.wav", seconds=0.2 + i % 10 / 100)

    def measure(clips, table):
        begin = time.process_time()
        assert main(["predict", str(clips), "--model", str(tmp_path / "model"), "--output", str(tmp_path / table)]) == 0
        return time.process_time() - begin

    measure(tmp_path / "clips/0", "warm_up.csv")
    hundreds = [measure(tmp_path / f"clips/{i}", f"{i}.csv") for i in range(10)]
    thousand = measure(tmp_path / "clips", "all.csv")
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 1_001
    assert thousand <= 10.5 * sum(hundreds) / 10
    print(f"{sum(hundreds) / 10:.2f} s for 100 files, {thousand:.2f} s for 1000")
