"""What a user adds to a run: called as it goes, it changes nothing of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from deepgen_fast.training.state.position import TrainingResult


class Callback:
    """Override what is wanted; the methods here do nothing. They are called in process 0 alone, in the order in which
    callbacks were given; an exception ends the run as any other does, with its best weights written.

    Example:
        class Log(Callback):
            def on_epoch(self, record):
                wandb.log(record, step=record["step"])

        VAETrainer(model, callbacks=[Log()]).fit(images)
    """

    def on_step(self, step: int, loss: Tensor) -> None:
        """After an optimizer step, counted from 1; its detached loss ``[]``, on the device. Reading it waits there."""

    def on_epoch(self, record: dict[str, Any]) -> None:
        """After an epoch: its metrics by name, as in ``metrics.jsonl``, those of a validation among them."""

    def on_checkpoint(self, path: Path) -> None:
        """After a checkpoint has been written."""

    def on_end(self, result: TrainingResult) -> None:
        """When training ends: completed, stopped early or interrupted."""
