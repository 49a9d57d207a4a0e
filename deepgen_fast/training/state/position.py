"""Where a run is, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from deepgen_fast.config.sections import describe
from deepgen_fast.training.errors import CheckpointError
from deepgen_fast.training.state.checkpoint_store import step_in_name

_CHECKED = ConfigDict(extra="forbid")
_Count = Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)]
_Loss = Annotated[float, Field(strict=True, allow_inf_nan=False)]


@checked_dataclass(config=_CHECKED)
class Position:
    """Where a run is: ``step`` optimizer steps done, ``batch`` of them in epoch ``epoch``, from 0."""

    step: _Count = 0
    epoch: _Count = 0
    batch: _Count = 0


@checked_dataclass(config=_CHECKED)
class Best:
    """Early stopping: the lowest validation loss, its epoch (counted from 1), and validations since."""

    loss: _Loss | None = None
    epoch: _Count | None = None
    waited: _Count = 0


class TrainState(BaseModel):
    """What ``state.json`` tells: ``step`` and ``epoch`` are those of ``position``; ``torch`` the writer's version."""

    model_config = _CHECKED

    step: _Count
    epoch: _Count
    position: Position
    best: Best
    torch: str = ""


def read_state(state: Mapping[str, Any], path: Path) -> TrainState:
    """Check the state of a checkpoint.

    Args:
        state: of the checkpoint.
        path: of its directory.

    Raises:
        CheckpointError: for a missing, unknown or wrong value, or one that contradicts another.
    """
    try:
        checked = TrainState.model_validate(state)
    except ValidationError as error:
        raise CheckpointError(f"{path}: damaged: state.json: {describe(error)}") from error
    position, named = checked.position, step_in_name(path)
    for what, expected, found in (
        ("position.step", checked.step, position.step),
        ("position.epoch", checked.epoch, position.epoch),
        ("step", checked.step if named is None else named, checked.step),
    ):
        if found != expected:
            raise CheckpointError(f"{path}: damaged: state.json: {what}: expected {expected}, found {found}")
    return checked


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
