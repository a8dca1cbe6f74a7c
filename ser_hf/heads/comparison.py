"""Compare features and scikit-learn heads on held-out training speakers, without the test speakers."""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np
import torch
import transformers
from datasets import Dataset
from transformers.utils import logging

from ser_hf import __version__
from ser_hf.data.augment import Augmentation
from ser_hf.data.hearing import Hearing
from ser_hf.data.sampler import name_groups
from ser_hf.heads.classifiers import Head
from ser_hf.heads.embedder import Embedder
from ser_hf.heads.features import classical_features, egemaps_features, load_egemaps
from ser_hf.heads.head_fitting import InnerScore, cross_validate_head, fit_head
from ser_hf.heads.normalization import normalize_by_speaker
from ser_hf.heads.probe_arguments import ProbeArguments
from ser_hf.heads.vectors import compute_vectors
from ser_hf.models.checkpoint_loading import UNUSED, is_head, load_config
from ser_hf.models.location import commit_of

logger = logging.get_logger(__name__)

# Fast, and svm_linear selects the same layer as the other classifiers.
LAYER_HEAD, LAYER_REGRESSOR = "svm_linear", "ridge"


@dataclass(frozen=True)
class FeatureSet:
    """Hold the training and test vectors of one kind of features.

    Attributes:
        name: Name of the features, such as "classical" or "layer 3".
        train: ``(N * (1 + copies), D)``: the N training rows, followed by their augmented copies.
        test: ``(M, D)`` for M test rows.
        settings: Settings of the feature extraction, stored with the head to repeat the extraction.
    """

    name: str
    train: np.ndarray
    test: np.ndarray
    settings: dict


@dataclass(frozen=True)
class Candidate:
    """Hold one head, fitted on one kind of features, with its cross-validation score.

    Attributes:
        features: The vectors on which the head was fitted.
        head: The head, fitted on all training utterances.
        inner: Result of the inner cross-validation on the training speakers.
        seconds: Computing time of the inner cross-validation and the fit.
    """

    features: FeatureSet
    head: Head
    inner: InnerScore
    seconds: float


def check_features(arguments: ProbeArguments) -> None:
    """Check that the encoder exists and opensmile is installed, if they are needed.

    Raises:
        OSError: If the encoder does not exist.
        ImportError: If opensmile is needed and not installed.
    """
    if arguments.model_name_or_path is not None:
        load_config(arguments.model_name_or_path, arguments.trust_remote_code, arguments.revision)
    if "egemaps" in arguments.features:
        load_egemaps()


def gather_features(
    train: Dataset, test: Dataset, arguments: ProbeArguments, augment: Augmentation | None, *, hearing: Hearing
) -> Iterator[FeatureSet]:
    """Compute the vectors of each requested kind of features; the best layer is selected on the training speakers.

    Args:
        train: N training rows from `build_dataset`.
        test: M test rows from `build_dataset`.
        arguments: Options of the comparison.
        augment: Augmentation that is applied to the copies.
        hearing: The audio preparation of these rows; it is stored, because the head needs the same preparation later.

    Yields:
        One set of vectors per kind of features; for embeddings one per selection of layers.

    Raises:
        ValueError: If a vector is not finite, or a speaker is unknown with `arguments.speaker_normalization`.
        ImportError: If "egemaps" is requested and opensmile is not installed.
    """
    for kind in arguments.features:
        compute, identity, options, described = _select_extractor(kind, arguments)

        def vectors(dataset: Dataset, **change) -> np.ndarray:
            computed = compute_vectors(dataset, compute, identity=identity, **options, **change)  # noqa: B023
            return _normalize(computed, dataset) if arguments.speaker_normalization else computed

        copies = range(1, arguments.augmented_copies + 1)
        parts = [vectors(train), *(vectors(train, augment=augment, seed=(arguments.seed, copy)) for copy in copies)]
        whole, tested = np.concatenate(parts), vectors(test)
        settings = {"kind": kind, "identity": identity, **hearing.describe(), **described}
        settings["speaker_normalization"] = arguments.speaker_normalization
        if kind != "embedding":
            yield FeatureSet(kind, whole, tested, settings)
            continue
        for name, layers in _choose_layers(whole, train, arguments):
            rows, others = (part[:, layers].reshape(len(part), -1) for part in (whole, tested))
            yield FeatureSet(name, rows, others, settings | {"layers": layers})


def compare_heads(
    features: FeatureSet, train: Dataset, arguments: ProbeArguments, *, balance_corpora: bool = False
) -> Iterator[Candidate]:
    """Cross-validate and fit each requested head on the training utterances and their augmented copies.

    Args:
        features: Vectors from `gather_features`.
        train: The N training rows of these vectors.
        arguments: Options of the comparison.
        balance_corpora: Whether each emotion of each corpus has the same weight, instead of each emotion.

    Yields:
        One candidate per head, in the order of `arguments.heads`.

    Raises:
        ValueError: As for `cross_validate_head`.
    """
    times, names = 1 + arguments.augmented_copies, name_speakers(train)
    labels, utterances = np.concatenate([train["label"]] * times), np.tile(train["utterance"], times)
    speakers = None if names is None else np.tile(names, times)
    groups = np.tile(name_groups(train), times) if balance_corpora else None
    assert arguments.heads is not None  # `for_task` has set them
    rows = features.train, labels, speakers
    for name in arguments.heads:
        begin = time.perf_counter()
        inner = cross_validate_head(name, *rows, seed=arguments.seed, utterances=utterances, groups=groups)
        head = fit_head(name, *rows, seed=arguments.seed, inner=inner, groups=groups)
        yield Candidate(features, head, inner, time.perf_counter() - begin)


def name_speakers(dataset: Dataset) -> list[str] | None:
    """Return the speaker of each row as "corpus/speaker", or None if any speaker is unknown."""
    if None in dataset["speaker"]:
        return None
    return [f"{corpus}/{speaker}" for corpus, speaker in zip(dataset["corpus"], dataset["speaker"], strict=True)]


def _spell_encoder(arguments: ProbeArguments) -> str:
    """Return the Hub id of the encoder; of a folder, the path relative to the output folder."""
    name = os.fspath(arguments.model_name_or_path)  # type: ignore[arg-type]  # ProbeArguments has checked it
    if not os.path.isdir(name):
        return name
    return Path(os.path.relpath(os.path.realpath(name), os.path.realpath(arguments.output_dir))).as_posix()


def _select_extractor(kind: str, arguments: ProbeArguments) -> tuple:
    """Return the function that computes the vectors, its cache key, options for `compute_vectors`, and settings."""
    if kind == "embedding":
        assert arguments.model_name_or_path is not None  # ProbeArguments has checked it
        dtype = torch.bfloat16 if arguments.bf16 else torch.float32
        embedder = Embedder(
            arguments.model_name_or_path,
            dtype=dtype,
            revision=arguments.revision,
            trust_remote_code=arguments.trust_remote_code,
        )
        described = {
            "model_name_or_path": _spell_encoder(arguments),
            "statistics": ["mean", "deviation"],
            "revision": commit_of(embedder.config),
        }
        return embedder.embed, _encoder_cache_key(embedder), {}, described
    versions = f"ser_hf {__version__}, librosa {librosa.__version__}"  # type: ignore[attr-defined]  # not in its stub
    compute = _classical if kind == "classical" else _egemaps
    return compute, f"{kind}, {versions}", {"processes": arguments.processes}, {}


def _encoder_cache_key(embedder: Embedder) -> str:
    """Return the cache key of an encoder, which changes with its configuration and weights.

    The classification head and the mask vector of SpecAugment are excluded. Embeddings do not depend on them, and if a
    checkpoint lacks them, they are initialised at random in every process.
    """
    digest = hashlib.sha256(json.dumps(embedder.config.to_dict(), sort_keys=True, default=str).encode())
    digest.update(embedder.feature_extractor.to_json_string().encode())
    for name, weight in sorted(embedder.model.state_dict().items()):
        if not is_head(name) and not name.endswith(UNUSED):
            digest.update(name.encode() + weight.cpu().contiguous().view(torch.uint8).numpy().tobytes())
    versions = f"ser_hf {__version__}, transformers {transformers.__version__}, torch {torch.__version__}"
    return f"embedding {digest.hexdigest()}, {embedder.dtype}, {versions}"


def _classical(waveforms: list[np.ndarray]) -> np.ndarray:
    return np.stack([classical_features(waveform).to_numpy() for waveform in waveforms])


def _egemaps(waveforms: list[np.ndarray]) -> np.ndarray:
    return np.stack([egemaps_features(waveform).to_numpy() for waveform in waveforms])


def _normalize(vectors: np.ndarray, dataset: Dataset) -> np.ndarray:
    speakers = name_speakers(dataset)
    if speakers is None:
        raise ValueError("speaker_normalization: expected that every speaker is known. Do not use it for this corpus.")
    return normalize_by_speaker(vectors.reshape(len(vectors), -1), speakers).reshape(vectors.shape)


def _choose_layers(vectors: np.ndarray, train: Dataset, arguments: ProbeArguments) -> Iterator[tuple[str, list[int]]]:
    """Yield (name, layers) of the layers to fit heads on: the best single layer, all layers, or both."""
    count = vectors.shape[1]
    if arguments.layers != "all":
        clean, labels, speakers = vectors[: len(train)], np.array(train["label"]), name_speakers(train)
        head = LAYER_HEAD if labels.ndim == 1 else LAYER_REGRESSOR
        scores = [
            cross_validate_head(
                head, clean[:, i].reshape(len(clean), -1), labels, speakers, utterances=train["utterance"]
            ).score
            for i in range(count)
        ]
        best = int(np.argmax(scores))
        shown = ", ".join(f"{i}: {score:.3f}" for i, score in enumerate(scores))
        logger.info(f"{'UA' if head == LAYER_HEAD else 'CCC'} by layer on held-out training speakers: {shown}.")
        yield f"layer {best}", [best]
    if arguments.layers != "best":
        yield "all layers", list(range(count))
