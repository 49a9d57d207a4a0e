"""What every metric shares: the model in evaluation mode, and data walked in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from deepgen_fast.example import Example, on_device

#: A tensor `[N, *event]`, or an iterable of batches (a DataLoader): tensors, or tuples whose first item is
#: one. For a model that takes labels: the pair of examples and labels `[N]`, or an iterable of such pairs.
Examples: TypeAlias = Tensor | tuple[Tensor, Tensor] | Iterable[Tensor | tuple[Tensor, ...] | list[Tensor]]


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


def model_batches(
    model: nn.Module, x: Examples, batch_size: int, device: torch.device, name: str = "x"
) -> Iterator[Example]:
    """Yield batches on the device as the model is called with them: `batches_of`, or pairs of it and labels `[b]`."""
    if not model.takes_labels:
        yield from batches_of(x, batch_size, device, name)
        return
    expected = f"{name}: a {type(model).__name__} takes labels: expected a pair of examples and labels"
    if isinstance(x, Tensor):
        raise ValueError(f"{expected}, got a tensor alone")
    if isinstance(x, tuple) and len(x) == 2 and isinstance(x[0], Tensor):
        examples, labels = cast("tuple[Tensor, Tensor]", x)
        if labels.shape != examples.shape[:1]:
            raise ValueError(f"{expected}, one label an example, got {len(examples)} and {list(labels.shape)}")
        if not len(examples):
            raise ValueError(f"{name}: expected at least one example, got none")
        check_positive("batch_size", batch_size)
        batches: Iterable[Any] = zip(examples.split(batch_size), labels.split(batch_size), strict=True)
    else:
        batches = x
    empty = True
    for item in batches:
        if isinstance(item, Tensor) or len(item) < 2:
            raise ValueError(f"{expected} in every batch, got examples alone")
        empty = False
        yield on_device((item[0], item[1]), device)
    if empty:
        raise ValueError(f"{name}: expected at least one example, got an iterable without any")


def check_positive(name: str, value: int) -> int:
    """Return value, an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected an integer, got {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name}: expected at least 1, got {value}")
    return value
