"""Checkpoints: written atomically, read without pickle.

A checkpoint is a directory::

    step-00001234/               or best-00001234/
        model.safetensors        weights and buffers under their state_dict keys
        ema.safetensors          averaged weights, when the run keeps them
        training.safetensors     optimizer moments, random states, sums of the running epoch (step-* only)
        state.json               step, epoch, position in the epoch, early stopping
        SHA256SUMS               checksums of the other files

It is written under a temporary name, flushed to the disk, and renamed: a directory of that name is complete. A file
that changed afterwards is noticed, and whatever a checkpoint holds is compared with what it must hold before any of it
is used (``checkpoint_files.py``).
"""

from __future__ import annotations

import json
import os
import reprlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from deepgen_fast.training.errors import CheckpointError
from deepgen_fast.training.state.checkpoint_files import (
    CheckpointLayout,
    check_sum,
    check_tensors,
    read_json,
    read_sums,
    read_tensors,
    specs_of,
    write_sums,
)

FORMAT = 1
WRITING = ".writing-"
_MODEL, _EMA, _TRAINING, _STATE = "model.safetensors", "ema.safetensors", "training.safetensors", "state.json"


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

    def layout(self) -> CheckpointLayout:
        """What a checkpoint that can stand in for this one must hold."""
        return CheckpointLayout(
            specs_of(self.model), None if self.ema is None else specs_of(self.ema), specs_of(self.training)
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


def tensors_under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those named ``PREFIX.NAME``, as ``NAME``."""
    return {
        name.removeprefix(f"{prefix}."): tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")
    }


def write_checkpoint(directory: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint so that ``directory`` exists only when all of it is on the disk.

    An existing directory of that name is left as it is: a run's steps are reproducible, so it holds the same.

    Raises:
        CheckpointError: when the disk refuses; nothing of that name is left behind.
    """
    if directory.exists():
        return
    temporary = directory.parent / f"{WRITING}{directory.name}"
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        _save(temporary / _MODEL, checkpoint.model)
        if checkpoint.ema is not None:
            _save(temporary / _EMA, checkpoint.ema)
        if checkpoint.training:
            _save(temporary / _TRAINING, checkpoint.training)
        state = temporary / _STATE
        state.write_text(json.dumps({"format": FORMAT, **checkpoint.state}, indent=1), encoding="utf-8")
        _flush(state)
        _flush(write_sums(temporary))
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


def read_checkpoint(directory: Path, layout: CheckpointLayout | None = None) -> Checkpoint:
    """Read a checkpoint onto the CPU. Tensors come from safetensors and values from JSON: no code is run.

    Args:
        directory: of the checkpoint.
        layout: what it must hold; None takes what there is.

    Raises:
        CheckpointError: when the directory is not a checkpoint, is damaged, of a later format, or does not hold what
            ``layout`` says; it names file, key, what was expected and what was found.
    """
    state = read_json(directory / _STATE)
    found = state.pop("format", None)
    if type(found) is not int or found != FORMAT:
        raise CheckpointError(
            f"{directory}: {_STATE}: written in a format that this version does not know: format: expected {FORMAT}, "
            f"found {reprlib.repr(found)}"
        )
    sums = read_sums(directory, (_STATE, _MODEL, _EMA, _TRAINING))
    present = {name: (directory / name).exists() for name in (_EMA, _TRAINING)}
    if layout is not None:
        _check_layout(directory, layout, present)
    wanted = [_MODEL, *(name for name in present if present[name])]
    if layout is not None and layout.training is None:
        wanted = [name for name in wanted if name != _TRAINING]
    # After the headers, which say more of a damaged tensor than a checksum does, and take less time.
    for name in (_STATE, *wanted):
        check_sum(directory / name, sums)
    read = {name: read_tensors(directory / name) for name in wanted}
    return Checkpoint(read[_MODEL], state, read.get(_EMA), read.get(_TRAINING, {}))


def _check_layout(directory: Path, layout: CheckpointLayout, present: Mapping[str, bool]) -> None:
    if layout.training is not None and not present[_TRAINING]:
        raise CheckpointError(f"{directory}: no {_TRAINING}: holds weights only; resume from a step-* checkpoint")
    if layout.ema is not None and not present[_EMA]:
        raise CheckpointError(f"{directory}: no {_EMA}: the run kept no average of the weights, but ema_decay is set")
    if layout.ema is None and present[_EMA]:
        raise CheckpointError(f"{directory}: {_EMA}: the run kept an average of the weights, but ema_decay is not set")
    for name, specs in ((_MODEL, layout.model), (_EMA, layout.ema), (_TRAINING, layout.training)):
        if specs is not None:
            check_tensors(directory / name, specs)
