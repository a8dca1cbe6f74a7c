"""Store the scores of synthetic waveforms after training, and compare them before publishing.

The waveforms are computed from a formula, so the comparison needs neither a corpus nor its licence.

Shapes: B waveforms, T samples, C emotions.
"""

import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
import torch
import transformers
from numpy.random import PCG64
from transformers import AutoFeatureExtractor, PreTrainedModel, SequenceFeatureExtractor, pipeline

from ser_hf.cache import write_text
from ser_hf.data.collator import FIXED_LENGTH
from ser_hf.models import checkpoint_schema
from ser_hf.models.padding import EQUAL_LENGTHS_ONLY, make_padding_aware
from ser_hf.models.postprocessing import to_scores
from ser_hf.publishing.agreement import TOLERANCE, run_pipeline
from ser_hf.publishing.checks import Check, check_code, load_stock, read_json_or_empty

ANSWERS = "answers.json"
WAVEFORMS = {"glide of a voice": 0.6, "pulses in noise": 1.3, "three syllables": 2.9}  # seconds


def reference_waveforms(sampling_rate: int) -> list[np.ndarray]:
    """Return three synthetic waveforms, ``(T,)`` float32 in [-1, 1], of 0.6, 1.3 and 2.9 s.

    They are the same on every machine: samples are rounded to 16 bits, and the noise is the raw stream of PCG64.

    Args:
        sampling_rate: Sampling rate in Hz.

    Examples:
        >>> [len(waveform) for waveform in reference_waveforms(16_000)]
        [9600, 20800, 46400]
    """
    glide, pulses, syllables = (
        np.arange(round(seconds * sampling_rate)) / sampling_rate for seconds in WAVEFORMS.values()
    )
    noise = PCG64(0).random_raw(len(pulses)) / 2.0**63 - 1
    waveforms = [
        _voice(120 * glide + 100 * glide**2),
        3 * _voice(180 * pulses) ** 3 + 0.1 * noise,
        _voice(220 * syllables + 5 * np.sin(9 * syllables)) * np.sin(np.pi * syllables / 2.9 * 3) ** 2,
    ]
    return [(np.round(waveform * 2**15) / 2**15).astype(np.float32) for waveform in waveforms]


def write_answers(folder: str | Path) -> dict:
    """Write answers.json: the scores of the reference waveforms by the stock pipeline, on the CPU in float32.

    Args:
        folder: A saved checkpoint.

    Returns:
        The content of the file.
    """
    folder = Path(folder)
    classifier = pipeline("audio-classification", model=str(folder), device="cpu", dtype="float32")
    sampling_rate = classifier.feature_extractor.sampling_rate  # type: ignore[union-attr]
    waveforms = reference_waveforms(sampling_rate)
    answers = {
        "sampling_rate": sampling_rate,
        "waveforms": _describe_waveforms(waveforms),
        "scores": [
            {answer["label"]: answer["score"] for answer in classifier(waveform, top_k=None)} for waveform in waveforms
        ],
        "versions": {"transformers": transformers.__version__, "torch": torch.__version__, "numpy": np.__version__},
    }
    write_text(folder / ANSWERS, json.dumps(answers, indent=1, ensure_ascii=False) + "\n")
    return answers


def check_answers(folder: Path) -> Check:
    """Check that the stock pipeline, in a new process without ser_hf, reproduces the stored scores."""
    stored = read_json_or_empty(folder / ANSWERS)
    name = "answers"
    rewrite = "If the checkpoint is correct, write the scores again: ser_hf.publishing.write_answers(folder)."
    if not stored:
        return Check(name, False, "answers.json is missing or not valid JSON", rewrite)
    checkpoint_schema.check_values({"sampling_rate": stored["sampling_rate"]}, ANSWERS)
    waveforms = reference_waveforms(stored["sampling_rate"])
    if _describe_waveforms(waveforms) != stored["waveforms"]:
        return Check(name, False, "answers.json was written for other waveforms than those of this version", rewrite)
    if not (code := check_code(folder)).passed:
        return Check(name, False, f"not run, because the checkpoint contains code: {code.found}", code.remedy)
    scores, error = _score_in_new_process(folder, waveforms, stored["sampling_rate"])
    if error:
        return Check(name, False, f"the stock pipeline fails: {error}", "Fix the error above.")
    if len(stored["scores"]) != len(scores):
        return Check(name, False, f"scores of {len(stored['scores'])} waveforms, expected {len(scores)}", rewrite)
    if [set(utterance) for utterance in scores] != [set(utterance) for utterance in stored["scores"]]:
        return Check(name, False, f"outputs {sorted(scores[0])}, stored {sorted(stored['scores'][0])}", rewrite)
    difference = _largest_difference(scores, stored["scores"])
    found = f"{len(scores)} waveforms, largest difference of a score {difference:.1e} (allowed: {TOLERANCE:g})"
    remedy = f"The weights or the preprocessor have changed since the scores were stored: restore them. {rewrite}"
    return Check(name, difference <= TOLERANCE, found, remedy)


def check_padding(folder: Path) -> Check:
    """Check that padding does not change the scores, for architectures that can exclude it.

    Stock group-norm encoders, stacked convolutions and SEW cannot: for them the difference is reported, but the check
    passes.
    """
    model, _ = load_stock(folder)
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    difference = padding_difference(model, extractor)
    found = f"largest difference of a score {difference:.1e}"
    if model.config.model_type in EQUAL_LENGTHS_ONLY or make_padding_aware(model):
        sentence = "padding changes the scores of this architecture: score utterances one by one, or with ser_hf"
        return Check("batch against single", True, f"{found}; {sentence}")
    remedy = "The attention mask of this architecture is exact but not used: set return_attention_mask to true."
    return Check("batch against single", difference <= TOLERANCE, f"{found} (allowed: {TOLERANCE:g})", remedy)


@torch.inference_mode()
def padding_difference(model: PreTrainedModel, extractor: SequenceFeatureExtractor) -> float:
    """Return the largest difference of scores between the reference waveforms in one padded batch and one by one.

    Args:
        model: A stock audio classifier.
        extractor: Its feature extractor.
    """
    waveforms = reference_waveforms(extractor.sampling_rate)
    padding = {} if isinstance(extractor, FIXED_LENGTH) else {"padding": True}

    def score(batch: list[np.ndarray]) -> np.ndarray:
        inputs = extractor(batch, sampling_rate=extractor.sampling_rate, return_tensors="pt", **padding)  # type: ignore[operator]
        return to_scores(model(**inputs).logits.numpy(), model.config.problem_type)  # (B, C)

    single = np.concatenate([score([waveform]) for waveform in waveforms])
    return float(np.abs(score(waveforms) - single).max())


def _voice(cycles: np.ndarray) -> np.ndarray:
    """Return harmonics that fall by 6 dB per octave, from the phase at each sample ``(T,)`` in cycles."""
    return sum(np.sin(2 * np.pi * harmonic * cycles) / harmonic for harmonic in range(1, 9)) / 3  # type: ignore[return-value]


def _describe_waveforms(waveforms: list[np.ndarray]) -> list[dict]:
    return [
        {"description": name, "seconds": seconds, "sha256": hashlib.sha256(waveform.tobytes()).hexdigest()}
        for (name, seconds), waveform in zip(WAVEFORMS.items(), waveforms, strict=True)
    ]


def _score_in_new_process(
    folder: Path, waveforms: list[np.ndarray], sampling_rate: int
) -> tuple[list[dict[str, float]], str | None]:
    """Return the scores of the stock pipeline in a new interpreter, and its error message or None."""
    with TemporaryDirectory() as temporary:
        files = [Path(temporary, f"{number}.wav") for number in range(len(waveforms))]
        for file, waveform in zip(files, waveforms, strict=True):
            soundfile.write(file, waveform, sampling_rate, subtype="FLOAT")
        return run_pipeline(folder, [(str(file), None, None) for file in files])


def _largest_difference(scores: list[dict[str, float]], stored: list[dict[str, float]]) -> float:
    """Return the largest absolute difference of scores; NaN if any score is NaN."""
    pairs = [(new[name], old[name]) for new, old in zip(scores, stored, strict=True) for name in old]
    return float(np.abs(np.subtract(*np.transpose(pairs))).max())
