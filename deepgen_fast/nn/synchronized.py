"""Batch norm over the rows of all processes, in place of a model's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn

from deepgen_fast import backends
from deepgen_fast.nn import batch_norm, layers
from deepgen_fast.ops.activation import ACTIVATIONS
from deepgen_fast.ops.batch_norm_act.function import Norm
from deepgen_fast.ops.batch_norm_act.synchronized import normalize_by_processes
from deepgen_fast.ops.memory_format import owned

_paused = False


@contextmanager
def unsynchronized() -> Iterator[None]:
    """Within this, batch norms look at this process's rows alone: for what one process does by itself."""
    global _paused
    before, _paused = _paused, True
    try:
        yield
    finally:
        _paused = before


class Synchronized(nn.Module):
    """What the three classes below have in common: in training the batch is that of all processes."""

    def synchronizes(self: Any) -> bool:
        """Whether there are other processes, and this layer looks at the batch."""
        looks = batch_norm.uses_batch(self)
        return looks and not _paused and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1

    def normalize(self: Any, input: Tensor, activation: str = "none", negative_slope: float = 0.0) -> Tensor:
        """The layer and an activation, over the rows of all processes."""
        running = batch_norm.running(self)
        norm = Norm(running.mean, running.variance, self.weight, self.bias, running.momentum, self.eps)
        backend = backends.choose("auto", input.device)
        options = (norm, ACTIVATIONS.index(activation), negative_slope, backend)
        image = input if input.dim() == 4 else input.reshape(*input.shape[:2], -1, 1)
        output = normalize_by_processes(image, *options)
        if running.counted:
            self.num_batches_tracked.add_(1)
        return output if image is input else owned(output.view(input.shape))

    def forward(self: Any, input: Tensor) -> Tensor:
        if not self.synchronizes():
            return super().forward(input)
        self._check_input_dim(input)
        return self.normalize(input)


class SynchronizedBatchNorm1d(Synchronized, nn.BatchNorm1d):
    """``nn.BatchNorm1d`` over the rows of all processes."""


class SynchronizedBatchNorm2d(Synchronized, nn.BatchNorm2d):
    """``nn.BatchNorm2d`` over the rows of all processes; fused like it with the convolution before it."""


class SynchronizedBatchNorm3d(Synchronized, nn.BatchNorm3d):
    """``nn.BatchNorm3d`` over the rows of all processes."""


layers.ROLES[Synchronized.forward] = layers.BATCH_NORM

_CLASSES: dict[type, type] = {
    nn.BatchNorm1d: SynchronizedBatchNorm1d,
    nn.BatchNorm2d: SynchronizedBatchNorm2d,
    nn.BatchNorm3d: SynchronizedBatchNorm3d,
}


@contextmanager
def synchronized_batch_norm(model: nn.Module) -> Iterator[nn.Module]:
    """Within this, batch norms of ``model`` take their statistics over the rows of all processes.

    In place: parameters, buffers, ``state_dict`` keys and optimizers stay as they are, as modules change their class
    only. Layers of another class, ``nn.SyncBatchNorm`` among them, are left alone. All processes must call the model in
    the same order, for backward passes too. Without a process group nothing differs.
    """
    changed = [module for module in model.modules() if type(module) in _CLASSES]
    for module in changed:
        module.__class__ = _CLASSES[type(module)]
    try:
        yield model
    finally:
        for module in changed:
            module.__class__ = type(module).__mro__[2]
