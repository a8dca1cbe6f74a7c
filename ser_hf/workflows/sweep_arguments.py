"""Define the arguments of `sweep`."""

from dataclasses import dataclass, field


@dataclass
class SweepArguments:
    """Define the number of trials and the settings to search.

    Examples:
        >>> SweepArguments(search=["speed"]).trials
        20
    """

    trials: int = field(default=20, metadata={"help": "Number of finished trials, over all processes and launches."})
    search: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Settings to search: learning_rate, head_learning_rate, optim, lr_scheduler_type, "
            "per_device_train_batch_size, num_train_epochs, noise_snr, pitch, tempo, speed, head_init. None: all."
        },
    )

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise ValueError(f"trials: expected at least 1, found {self.trials}.")
