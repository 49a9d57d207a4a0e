"""What models are trained on: examples that are a tensor, or a tuple that begins with one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

#: ``[B, *event]``, or a tuple that begins with it (an image and its label).
Example: TypeAlias = Any


def event_of(example: Example) -> Tensor:
    """``[B, *event]`` of an example."""
    return example if isinstance(example, Tensor) else example[0]


def with_event(example: Example, event: Tensor) -> Example:
    """The example with another ``[B, *event]``: an image in place of an image, under the same label."""
    return event if isinstance(example, Tensor) else (event, *example[1:])


def rows_of(example: Example, rows: slice) -> Example:
    """Some of the examples of a batch."""
    return example[rows] if isinstance(example, Tensor) else tuple(part[rows] for part in example)


def joined(examples: Sequence[Example]) -> Example:
    """Several batches as one."""
    if isinstance(examples[0], Tensor):
        return torch.cat(list(examples))
    return tuple(torch.cat(parts) for parts in zip(*examples, strict=True))


def cast_floats(example: Example, dtype: torch.dtype) -> Example:
    """The example with what is floating point in ``dtype``: labels and tokens stay as they are."""
    if isinstance(example, Tensor):
        return example.to(dtype) if example.is_floating_point() else example
    return tuple(cast_floats(part, dtype) for part in example)


def on_device(example: Example, device: torch.device) -> Example:
    """The example on a device."""
    if isinstance(example, Tensor):
        return example.to(device, non_blocking=True)
    return tuple(part.to(device, non_blocking=True) for part in example)
