"""Define the arguments of `probe`."""

from dataclasses import dataclass, field, replace
from typing import Literal

from ser_hf.models.location import check_revision

FEATURES = ("classical", "egemaps", "embedding")
# The keys of `ser_hf.heads.classifiers.HEADS`, which needs scikit-learn.
HEAD_NAMES = (
    "svm_rbf", "svm_linear", "logistic_regression", "gradient_boosting", "random_forest", "extra_trees", "knn", "mlp",
)  # fmt: skip
REGRESSOR_NAMES = ("ridge", "svr_linear", "svr_rbf")  # the keys of `ser_hf.heads.regressors.REGRESSORS`
TASK_HEADS = {"categories": HEAD_NAMES, "dimensions": REGRESSOR_NAMES}


@dataclass
class ProbeArguments:
    """Define the features, the heads and the output folder.

    Raises:
        ValueError: If a feature or head is unknown, `augmented_copies` is negative, or an option is given without the
            option that it needs.

    Examples:
        >>> ProbeArguments("runs/probe", heads=["svm_linear", "knn"]).features
        ['classical']
    """

    output_dir: str = field(metadata={"help": "Folder for the checkpoint and the results."})
    features: list[str] = field(
        default_factory=lambda: ["classical"], metadata={"help": "One or more of classical, egemaps, embedding."}
    )
    model_name_or_path: str | None = field(
        default=None, metadata={"help": "embedding: Hub id or folder of the frozen encoder."}
    )
    revision: str | None = field(
        default=None,
        metadata={"help": "Branch, tag or commit of the encoder on the Hub. None: the newest commit."},
    )
    layers: Literal["best", "all", "both"] = field(
        default="both", metadata={"help": "embedding: the best single layer, all layers concatenated, or both."}
    )
    heads: list[str] | None = field(
        default=None,
        metadata={
            "help": f"One or more of {', '.join(HEAD_NAMES)}; for dimensions, of {', '.join(REGRESSOR_NAMES)}. "
            "If not set: all heads of the task."
        },
    )
    speaker_normalization: bool = field(
        default=False,
        metadata={
            "help": "Standardise vectors by speaker over all unlabelled audio of the speaker, also for test speakers."
        },
    )
    augmented_copies: int = field(
        default=0, metadata={"help": "Number of augmented copies of each training utterance."}
    )
    bf16: bool = field(default=False, metadata={"help": "embedding: run the encoder in bfloat16."})
    processes: int = field(default=2, metadata={"help": "classical, egemaps: number of parallel processes."})
    seed: int = field(default=0, metadata={"help": "Random seed of heads and augmentation."})
    trust_remote_code: bool = field(
        default=False,
        metadata={"help": "Run the Python code in the checkpoint of the encoder. Use it only for authors you trust."},
    )
    push_to_hub: bool = field(
        default=False,
        metadata={
            "help": "After the checks of the publication gate, upload the output folder to a private repository."
        },
    )
    hub_model_id: str | None = field(default=None, metadata={"help": "push_to_hub: name of the repository, USER/NAME."})

    def __post_init__(self) -> None:
        for name, known in (("features", FEATURES), ("heads", (*HEAD_NAMES, *REGRESSOR_NAMES))):
            if unknown := sorted(set(getattr(self, name) or ()) - set(known)):
                raise ValueError(f"{name}: expected some of {list(known)}, found {unknown}.")
        if ("embedding" in self.features) != (self.model_name_or_path is not None):
            raise ValueError("model_name_or_path: expected with --features embedding, and only then.")
        check_revision(self.model_name_or_path, self.revision)
        if self.push_to_hub and self.hub_model_id is None:
            raise ValueError("push_to_hub: expected with --hub_model_id USER/NAME.")
        if self.augmented_copies < 0:
            raise ValueError(f"augmented_copies: expected 0 or more, found {self.augmented_copies}.")

    def for_task(self, task: str) -> "ProbeArguments":
        """Return the arguments with all heads of a task if no heads are set.

        Raises:
            ValueError: If probes do not have the task, or the task does not have a head.

        Examples:
            >>> ProbeArguments("runs/probe").for_task("dimensions").heads
            ['ridge', 'svr_linear', 'svr_rbf']
        """
        if task not in TASK_HEADS:
            raise ValueError(
                f"task: expected one of {list(TASK_HEADS)} for a probe, found '{task}'. Use finetune, or leave out "
                "--task to probe the emotions with a majority."
            )
        heads = self.heads or list(TASK_HEADS[task])
        if others := sorted(set(heads) - set(TASK_HEADS[task])):
            raise ValueError(f"heads: expected some of {list(TASK_HEADS[task])} for '{task}', found {others}.")
        return replace(self, heads=heads)
