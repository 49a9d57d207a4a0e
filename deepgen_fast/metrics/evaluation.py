"""What every metric shares: the model in evaluation mode, and data walked in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import Tensor, nn

#: A tensor `[N, *event]`, or an iterable of batches (a DataLoader): tensors, or tuples whose first item is
#: one.
Examples: TypeAlias = Tensor | Iterable[Tensor | tuple[Tensor, ...] | list[Tensor]]


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Switch off gradients, dropout and batch statistics, and put every submodule back as it was."""
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, was_training in training.items():
            module.training = was_training


def device_of(model: nn.Module) -> torch.device:
    """The device of the model's first parameter or buffer; the CPU for a model without any."""
    for tensor in (*model.parameters(), *model.buffers()):
        return tensor.device
    return torch.device("cpu")


def batches_of(x: Examples, batch_size: int, device: torch.device, name: str = "x") -> Iterator[Tensor]:
    """Yield batches `[b, *event]` of x on the device, in order.

    A tensor is cut into slices of batch_size (views, no copy on the same device); an iterable keeps its own
    batches. name is what the caller's argument is called, for messages.
    """
    if isinstance(x, Tensor):
        if x.dim() < 2 or x.shape[0] == 0:
            raise ValueError(f"{name}: expected at least one example, shape [N, *event], got {tuple(x.shape)}")
        for batch in x.split(check_positive("batch_size", batch_size)):
            yield batch.to(device, non_blocking=True)
        return
    empty = True
    for item in x:
        batch = item if isinstance(item, Tensor) else item[0]
        if batch.shape[0]:
            empty = False
            yield batch.to(device, non_blocking=True)
    if empty:
        raise ValueError(f"{name}: expected at least one example, got an iterable without any")


def check_positive(name: str, value: int) -> int:
    """Return value, an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected an integer, got {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name}: expected at least 1, got {value}")
    return value
