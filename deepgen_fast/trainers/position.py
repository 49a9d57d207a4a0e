"""Where a run is, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Position:
    """Where a run is: ``step`` optimiser steps done, ``batch`` of them in epoch ``epoch``, from 0."""

    step: int = 0
    epoch: int = 0
    batch: int = 0


@dataclass
class Best:
    """Early stopping: the lowest validation loss, its epoch (counted from 1), and validations since."""

    loss: float | None = None
    epoch: int | None = None
    waited: int = 0


@dataclass
class TrainingResult:
    """How a run ended.

    Attributes:
        reason: ``"completed"``, ``"early_stopping"`` or ``"interrupted"``.
        epochs, steps: done in all, with those before a resume.
        seconds: of this process's share, validation and checkpoints included.
        best_epoch, best_validation_loss: None without validation; the loss is that of ``monitor``.
        history: one record an epoch, as in ``metrics.jsonl``.
        run_directory: None when nothing was written.
    """

    reason: str
    epochs: int
    steps: int
    seconds: float
    best_epoch: int | None
    best_validation_loss: float | None
    history: list[dict[str, Any]] = field(default_factory=list)
    run_directory: Path | None = None
    monitor: str = "validation loss"
