"""How training, or its resumption, can fail."""

from __future__ import annotations

import re
from pathlib import Path


def first_line(error: BaseException) -> str:
    """The message of an error of torch's without the frames of C++ that follow it, or the error's type."""
    text = re.sub(r"^\[enforce fail at [^]]*\] [^.]*\. ", "", str(error).split("Exception raised from")[0].strip())
    return " ".join(text.splitlines()[0].split()) if text else type(error).__name__


class CheckpointError(RuntimeError):
    """A checkpoint is missing, damaged, or not of this model or format."""


class NonFiniteLossError(RuntimeError):
    """The loss, or the weights, became NaN or infinite.

    Attributes:
        step: optimizer step, counted from 0, at which it was seen.
        epoch: epoch, counted from 1.
        learning_rate: of that step.
        checkpoint: the last good checkpoint, or None.
    """

    def __init__(
        self, what: str, *, step: int, epoch: int, learning_rate: float, checkpoint: Path | None, late: bool = False
    ) -> None:
        self.step = step
        self.epoch = epoch
        self.learning_rate = learning_rate
        self.checkpoint = checkpoint
        kept = (
            "No checkpoint had been written yet"
            if checkpoint is None
            else f"The last good checkpoint is kept: {checkpoint}"
        )
        super().__init__(
            f"{what} at {'or before ' if late else ''}step {step} (epoch {epoch}, learning rate "
            f"{learning_rate:g}). "
            f"{kept}. Lower learning_rate, set gradient_clip (such as 10), or check the data and the "
            "variance "
            "of the likelihood"
        )
