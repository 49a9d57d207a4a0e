"""Checkpoints: written atomically, read without pickle.

A checkpoint is a directory::

    step-00001234/               or best-00001234/
        model.safetensors        weights and buffers under their state_dict keys
        ema.safetensors          averaged weights, when the run keeps them
        training.safetensors     optimiser moments, random states, sums of the running epoch (step-* only)
        state.json               step, epoch, optimiser settings, early stopping; what kind of checkpoint this
        is

It is written under a temporary name, flushed to the disk, and renamed: a directory of that name is complete.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

FORMAT = 1
_NAME = re.compile(r"^(step|best)-(\d{8,})$")
_TEMPORARY = ".writing-"


class CheckpointError(RuntimeError):
    """A checkpoint is missing, damaged, or not of this model or format."""


@dataclass
class Checkpoint:
    """What is stored.

    Attributes:
        model: ``state_dict`` of the model.
        state: plain values for JSON.
        ema: averaged weights by parameter name, or None.
        training: tensors needed to go on training; empty in a checkpoint that is only for use.
    """

    model: dict[str, Tensor]
    state: dict[str, Any]
    ema: dict[str, Tensor] | None = None
    training: dict[str, Tensor] = field(default_factory=dict)

    def detached(self) -> Checkpoint:
        """A copy that later training steps do not touch."""
        return Checkpoint(
            _clone(self.model),
            json.loads(json.dumps(self.state)),
            None if self.ema is None else _clone(self.ema),
            _clone(self.training),
        )

    def non_finite(self) -> list[str]:
        """Names of the floating point tensors that hold NaN or infinity."""
        named = [
            (name, tensor)
            for group in (self.model, self.ema or {}, self.training)
            for name, tensor in group.items()
            if tensor.is_floating_point() and tensor.numel()
        ]
        if not named:
            return []
        # The largest magnitude hands on NaN and infinity, in one pass without a temporary of that size.
        norms = torch.stack([norm.to("cpu", torch.float64) for norm in _largest([tensor for _, tensor in named])])
        return [name for (name, _), finite in zip(named, torch.isfinite(norms).tolist(), strict=True) if not finite]


def _largest(tensors: list[Tensor]) -> list[Tensor]:
    return [torch.linalg.vector_norm(tensor.detach(), float("inf")) for tensor in tensors]


def _clone(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}


def write_checkpoint(directory: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint so that ``directory`` exists only when all of it is on the disk.

    An existing directory of that name is left as it is: a run's steps are reproducible, so it holds the same.

    Raises:
        CheckpointError: when the disk refuses; nothing of that name is left behind.
    """
    if directory.exists():
        return
    temporary = directory.parent / f"{_TEMPORARY}{directory.name}"
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        _save(temporary / "model.safetensors", checkpoint.model)
        if checkpoint.ema is not None:
            _save(temporary / "ema.safetensors", checkpoint.ema)
        if checkpoint.training:
            _save(temporary / "training.safetensors", checkpoint.training)
        state = temporary / "state.json"
        state.write_text(json.dumps({"format": FORMAT, **checkpoint.state}, indent=1), encoding="utf-8")
        _flush(state)
        _flush(temporary)
        os.rename(temporary, directory)
        _flush(directory.parent)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise CheckpointError(f"{directory}: could not be written: {error}") from error


def _save(path: Path, tensors: Mapping[str, Tensor]) -> None:
    # Cloned: safetensors refuses tensors that share memory, as tied weights do.
    try:
        save_file(_clone(tensors), path)
    except SafetensorError as error:
        raise OSError(str(error)) from error
    _flush(path)


def _flush(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows has no handle on a directory to flush.
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_checkpoint(directory: Path) -> Checkpoint:
    """Read a checkpoint onto the CPU. Tensors come from safetensors and values from JSON: no code is run.

    Raises:
        CheckpointError: when the directory is not a checkpoint, is damaged, or of a later format.
    """
    try:
        state = json.loads((directory / "state.json").read_text(encoding="utf-8"))
        if state.pop("format") != FORMAT:
            raise CheckpointError(f"{directory}: written in a format that this version does not know")
        ema, training = directory / "ema.safetensors", directory / "training.safetensors"
        return Checkpoint(
            load_file(directory / "model.safetensors"),
            state,
            load_file(ema) if ema.exists() else None,
            load_file(training) if training.exists() else {},
        )
    except FileNotFoundError as error:
        raise CheckpointError(f"{directory}: not a checkpoint: no {Path(error.filename or '').name}") from error
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{directory}: damaged: {error}") from error


class CheckpointStore:
    """The checkpoints of a run: the latest few and the best.

    Args:
        directory: that holds them.
        keep: number of latest ones to keep.
    """

    def __init__(self, directory: Path, keep: int = 2) -> None:
        self.directory = directory
        self.keep = keep
        self._pending_best: Checkpoint | None = None

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write the latest checkpoint, and a held best one before it; then drop what is no longer kept."""
        self.write_best()
        path = self.directory / f"step-{checkpoint.state['step']:08d}"
        write_checkpoint(path, checkpoint)
        for old in self._named("step")[: -self.keep]:
            shutil.rmtree(old, ignore_errors=True)
        return path

    def hold_best(self, checkpoint: Checkpoint) -> None:
        """Keep the best weights in memory until the next ``save``.

        Early in training every epoch is the best one; writing each would cost more than the epoch. A crash
        loses
        nothing: the run resumes from before and meets the same best again.
        """
        self._pending_best = Checkpoint(checkpoint.model, checkpoint.state, checkpoint.ema).detached()

    def write_best(self) -> None:
        """Write the held best checkpoint, if there is one, and drop the one before it."""
        if self._pending_best is None:
            return
        path = self.directory / f"best-{self._pending_best.state['step']:08d}"
        write_checkpoint(path, self._pending_best)
        self._pending_best = None
        for old in self._named("best"):
            if old != path:
                shutil.rmtree(old, ignore_errors=True)

    def _named(self, kind: str) -> list[Path]:
        """Complete checkpoints of a kind, oldest first."""
        if not self.directory.is_dir():
            return []
        found = [(match, path) for path in self.directory.iterdir() if (match := _NAME.match(path.name))]
        return [path for match, path in sorted(found, key=lambda item: int(item[0][2])) if match[1] == kind]

    def latest(self) -> Path | None:
        """The latest checkpoint to resume from, or None."""
        steps = self._named("step")
        return steps[-1] if steps else None

    def best(self) -> Path | None:
        """The best checkpoint by validation loss, or None."""
        found = self._named("best")
        return found[-1] if found else None

    def discard_after(self, step: int) -> None:
        """Remove checkpoints of later steps, before a run goes on from an earlier one."""
        for kind in ("step", "best"):
            for path in self._named(kind):
                if int(path.name.split("-")[1]) > step:
                    shutil.rmtree(path, ignore_errors=True)

    def remove_unfinished(self) -> None:
        """Remove what a crash left half written."""
        if self.directory.is_dir():
            for path in self.directory.glob(f"{_TEMPORARY}*"):
                shutil.rmtree(path, ignore_errors=True)
