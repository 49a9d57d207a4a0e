"""What a trainer provides: what one step does, and what is kept, measured and shown of it. The loop says when."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from torch import Tensor

from deepgen_fast.training.report.progress import Summary, summarize_vae
from deepgen_fast.training.report.tensorboard_log import TensorBoardLog
from deepgen_fast.training.state.checkpoint import Checkpoint
from deepgen_fast.training.state.run_directory import RunDirectory


class Steps(ABC):
    """The methods that the loop calls."""

    @abstractmethod
    def training_step(self, batch: Any, step: int, learning_rate: float) -> Tensor:
        """One optimizer step on ``batch``, ``[b, *event]`` or its pair with labels; returns the detached loss ``[]``.

        Must raise ``NonFiniteLossError`` (through ``check_finite``) before it changes any weight, where
        ``check_now(step)`` says to look.
        """

    @abstractmethod
    def epoch_sums(self) -> Tensor:
        """Float64 sums over the running epoch, which ``training_step`` updates; first the loss."""

    @abstractmethod
    def epoch_record(self, num_examples: int) -> dict[str, float]:
        """The epoch's metrics by name, of ``epoch_sums``."""

    @abstractmethod
    def validate(self) -> dict[str, float] | None:
        """Metrics on held-out data; None without any. ``monitor``, where it is among them, decides the best epoch."""

    @abstractmethod
    def write_samples(self, directory: Path, epoch: int, tensorboard: TensorBoardLog | None) -> None:
        """Write pictures, where the data can be shown."""

    @abstractmethod
    def checkpoint(self) -> Checkpoint:
        """Weights, averages and optimizer (not copied); ``state`` is filled in by the loop."""

    def check_numbers(self, checkpoint: Checkpoint) -> None:
        """Check what shapes and dtypes do not say of a stored checkpoint.

        Raises:
            CheckpointError: for a number that cannot be.
        """
        return

    @abstractmethod
    def restore(self, checkpoint: Checkpoint) -> None:
        """Take over what ``checkpoint`` stored."""

    def summarize(self, record: dict[str, Any]) -> Summary:
        """An epoch's record for the display."""
        return summarize_vae(record)

    def remarks(self, records: list[dict[str, Any]]) -> list[str]:
        """What to tell the user at the end of an epoch, from the records of all epochs so far; the last is its."""
        return []

    def finish(self, directory: RunDirectory) -> None:
        """Called when a run has come to its end, interruptions not counted: the place for its figures."""
        return
