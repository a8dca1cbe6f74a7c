"""Which features and which scikit-learn head serve new speakers best, judged on the training speakers alone."""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import librosa
import numpy as np
import torch
import transformers
from datasets import Dataset
from transformers.utils import logging

from ser_hf import __version__
from ser_hf.data.augment import Augmentation
from ser_hf.data.hearing import Hearing
from ser_hf.heads.classifiers import HEADS, Head, InnerScore, cross_validate_head, fit_head
from ser_hf.heads.embedder import Embedder
from ser_hf.heads.features import classical_features, egemaps_features
from ser_hf.heads.normalization import normalize_by_speaker
from ser_hf.heads.vectors import compute_vectors
from ser_hf.models.backbone import UNUSED, is_head

logger = logging.get_logger(__name__)

LAYER_JUDGE = "svm_linear"  # quick, and agrees with the others on which layer is best


@dataclass
class ProbeArguments:
    """Which features and heads are compared."""

    output_dir: str = field(metadata={"help": "Folder for the checkpoint and the evidence."})
    features: list[str] = field(
        default_factory=lambda: ["classical"], metadata={"help": "classical, egemaps, embedding, or several."}
    )
    model_name_or_path: str | None = field(
        default=None, metadata={"help": "embedding: the frozen encoder, Hub id or folder."}
    )
    layers: Literal["best", "all", "both"] = field(
        default="both", metadata={"help": "embedding: the best single layer, all of them side by side, or both."}
    )
    heads: list[str] = field(default_factory=lambda: list(HEADS), metadata={"help": ", ".join(HEADS) + "."})
    speaker_normalization: bool = field(
        default=False,
        metadata={"help": "Standardise each speaker by all of that speaker's unlabelled audio, tested ones too."},
    )
    augmented_copies: int = field(default=0, metadata={"help": "Augmented copies of each training utterance."})
    bf16: bool = field(default=False, metadata={"help": "embedding: run the encoder in bfloat16."})
    processes: int = field(default=2, metadata={"help": "classical, egemaps: processes that share the work."})
    seed: int = field(default=0, metadata={"help": "Of heads and augmented copies."})
    trust_remote_code: bool = field(
        default=False, metadata={"help": "Run code that comes with the encoder. Only for authors you trust."}
    )
    push_to_hub: bool = field(default=False, metadata={"help": "Publish the finished folder, privately, by the gate."})
    hub_model_id: str | None = field(default=None, metadata={"help": "push_to_hub: the repository, USER/NAME."})

    def __post_init__(self) -> None:
        for name, known in (("features", ("classical", "egemaps", "embedding")), ("heads", tuple(HEADS))):
            if unknown := sorted(set(getattr(self, name)) - set(known)):
                raise ValueError(f"{name}: expected some of {list(known)}, found {unknown}.")
        if ("embedding" in self.features) != (self.model_name_or_path is not None):
            raise ValueError("model_name_or_path: expected with --features embedding, and only then.")
        if self.push_to_hub and self.hub_model_id is None:
            raise ValueError("push_to_hub: expected with --hub_model_id USER/NAME.")
        if self.augmented_copies < 0:
            raise ValueError(f"augmented_copies: expected 0 or more, found {self.augmented_copies}.")


@dataclass(frozen=True)
class FeatureSet:
    """Hold the vectors of one kind of features.

    Attributes:
        name: Such as "classical" or "layer 3".
        train: ``(N, D)`` of the training utterances; augmented copies follow, ``(N * (1 + copies), D)``.
        test: ``(M, D)``.
        recipe: How a waveform becomes a vector, for whoever loads the head.
    """

    name: str
    train: np.ndarray
    test: np.ndarray
    recipe: dict


@dataclass(frozen=True)
class Candidate:
    """Hold one head on one kind of features: what the training speakers say of it, and what it answers.

    Attributes:
        features: The vectors it was fitted on.
        head: Fitted on all training utterances.
        inner: What the inner cross-validation found.
        seconds: Of the inner cross-validation and the fit.
    """

    features: FeatureSet
    head: Head
    inner: InnerScore
    seconds: float


def gather_features(
    train: Dataset, test: Dataset, arguments: ProbeArguments, augment: Augmentation | None, *, hearing: Hearing
) -> Iterator[FeatureSet]:
    """Yield the vectors of each kind of features asked for; the layer is chosen on the training speakers.

    Args:
        train: Training rows.
        test: Test rows.
        arguments: Which features.
        augment: Changes the augmented copies.
        hearing: How the audio of these rows was prepared; stored, as the head needs the same.

    Raises:
        ValueError: If a vector is not finite, or a speaker is unknown where they are normalised.
        ImportError: If egemaps lacks opensmile.
    """
    for kind in arguments.features:
        compute, identity, options = _describe(kind, arguments)

        def vectors(dataset: Dataset, **change) -> np.ndarray:
            found = compute_vectors(dataset, compute, identity=identity, **options, **change)  # noqa: B023
            return _normalize(found, dataset) if arguments.speaker_normalization else found

        copies = range(1, arguments.augmented_copies + 1)
        parts = [vectors(train), *(vectors(train, augment=augment, seed=(arguments.seed, copy)) for copy in copies)]
        whole, tested = np.concatenate(parts), vectors(test)
        recipe = {"kind": kind, "identity": identity, **hearing.describe()}
        recipe["speaker_normalization"] = arguments.speaker_normalization
        if kind != "embedding":
            yield FeatureSet(kind, whole, tested, recipe)
            continue
        recipe |= {"model_name_or_path": arguments.model_name_or_path, "statistics": ["mean", "deviation"]}
        for name, layers in _choose_layers(whole, train, arguments):
            flat = [part[:, layers].reshape(len(part), -1) for part in (whole, tested)]
            yield FeatureSet(name, *flat, recipe | {"layers": layers})


def compare_heads(features: FeatureSet, train: Dataset, arguments: ProbeArguments) -> Iterator[Candidate]:
    """Yield each head, chosen in its parameters and fitted on the training utterances and their augmented copies."""
    times, speakers = 1 + arguments.augmented_copies, name_speakers(train)
    labels, utterances = np.tile(train["label"], times), np.tile(train["utterance"], times)
    speakers = None if speakers is None else np.tile(speakers, times)
    for name in arguments.heads:
        begin = time.perf_counter()
        inner = cross_validate_head(name, features.train, labels, speakers, seed=arguments.seed, utterances=utterances)
        head = fit_head(name, features.train, labels, speakers, seed=arguments.seed, inner=inner)
        yield Candidate(features, head, inner, time.perf_counter() - begin)


def name_speakers(dataset: Dataset) -> list[str] | None:
    """Return the speaker of each row, different in each corpus; None where any is unknown."""
    if None in dataset["speaker"]:
        return None
    return [f"{corpus}/{speaker}" for corpus, speaker in zip(dataset["corpus"], dataset["speaker"], strict=True)]


def _describe(kind: str, arguments: ProbeArguments) -> tuple:
    """Return what computes the vectors, its identity, and how it is to be run."""
    if kind == "embedding":
        dtype = torch.bfloat16 if arguments.bf16 else torch.float32
        embedder = Embedder(arguments.model_name_or_path, dtype=dtype, trust_remote_code=arguments.trust_remote_code)
        return embedder.embed, _identify(embedder), {}
    versions = f"ser_hf {__version__}, librosa {librosa.__version__}"
    return (_classical if kind == "classical" else _egemaps), f"{kind}, {versions}", {"processes": arguments.processes}


def _identify(embedder: Embedder) -> str:
    """Return what tells this encoder, with these weights, from any other.

    Its classification head, which embeddings do not read, is left out, as is a vector that only SpecAugment uses:
    where a checkpoint lacks them, they are drawn anew in every process.
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
        raise ValueError("speaker_normalization: expected every speaker to be known. Leave it out for this corpus.")
    return normalize_by_speaker(vectors.reshape(len(vectors), -1), speakers).reshape(vectors.shape)


def _choose_layers(vectors: np.ndarray, train: Dataset, arguments: ProbeArguments) -> Iterator[tuple[str, list[int]]]:
    """Yield the layers to fit heads on, by name: the best single one, all of them, or both."""
    count = vectors.shape[1]
    if arguments.layers != "all":
        clean, labels, speakers = vectors[: len(train)], train["label"], name_speakers(train)
        scores = [
            cross_validate_head(
                LAYER_JUDGE, clean[:, i].reshape(len(clean), -1), labels, speakers, utterances=train["utterance"]
            ).ua
            for i in range(count)
        ]
        best = int(np.argmax(scores))
        shown = ", ".join(f"{i}: {score:.3f}" for i, score in enumerate(scores))
        logger.info(f"UA by layer on held-out training speakers: {shown}.")
        yield f"layer {best}", [best]
    if arguments.layers != "best":
        yield "all layers", list(range(count))
