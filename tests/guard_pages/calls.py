"""Calls of every launcher on sizes that leave a part of a vector, a pack, a tile and a chunk, forward and backward."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from cuda.cases import all_calls, minibatch_calls
from cuda.layer_cases import GEOMETRIES, SLOPE, few_channel_calls, winograd_calls
from torch import Tensor


class GuardedCall(NamedTuple):
    op: str
    args: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.op}({', '.join(map(_written, self.args))})"


def _written(value: Any) -> str:
    if not isinstance(value, Tensor):
        return repr(value)
    order = " channels_last" if value.dim() == 4 and not value.is_contiguous() else ""
    return f"{str(value.dtype)[6:]}{list(value.shape)}{order}"


def _channels(count: int, dtype: torch.dtype) -> list[Tensor]:
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    return [torch.rand(count, dtype=wide) + 0.5 for _ in range(4)]


def batch_norm_calls(shape: tuple[int, ...], dtype: torch.dtype) -> Iterator[GuardedCall]:
    """Statistics, forward and both backwards, of contiguous and, for images, of channels-last batches."""
    formats = (torch.contiguous_format, torch.channels_last) if len(shape) == 4 else (torch.contiguous_format,)
    for number, memory_format in enumerate(formats):
        image, grad = (torch.randn(shape).to(dtype).contiguous(memory_format=memory_format) for _ in range(2))
        normalized = (image, *_channels(shape[1], dtype), 2 + number, SLOPE)
        yield GuardedCall("channel_statistics", (image,))
        yield GuardedCall("batch_norm_act", normalized)
        for training in (True, False):
            yield GuardedCall("batch_norm_act_backward", (grad, *normalized, training, True, True))


ROWS = ((None, 1, 1), (None, 5, 3), (3, 2, 17), (2, 3, 131))  # samples, batch, columns
FEATURES = ((1, 1, 1), (7, 3, 5), (18, 17, 3))
IMAGES = ((5, 3), (2, 5, 7), (3, 7, 5, 3), (2, 33, 3, 3), (1, 1, 1, 1))
LAYER, FEW_LAYER = (3, 5, 7, 5, 3), (2, 5, 3, 5, 3)  # batch, channels of the small and the large image, small size


def row_calls(dtype: torch.dtype, shapes: tuple = ROWS, features: tuple = FEATURES) -> Iterator[GuardedCall]:
    """The row operators and minibatch discrimination."""
    for shape in shapes:
        yield from (GuardedCall(*call) for call in all_calls(*shape, dtype))
    for shape in features:
        yield from (GuardedCall(*call) for call in minibatch_calls(*shape, dtype))


def batch_norms(dtype: torch.dtype, images: tuple = IMAGES) -> Iterator[GuardedCall]:
    """Batch norm on each of the shapes."""
    for shape in images:
        yield from batch_norm_calls(shape, dtype)


def winograd(geometries: tuple = GEOMETRIES) -> Iterator[GuardedCall]:
    """Convolutions by Winograd filtering, in float32; by their names also Triton's."""
    for geometry in geometries:
        yield from (GuardedCall(call.op, call.args) for call in winograd_calls(geometry, LAYER))


def few_channels(dtype: torch.dtype) -> Iterator[GuardedCall]:
    """The image layers; scale and shift are float32, or float64 with images of that."""
    for geometry in GEOMETRIES:
        for call in few_channel_calls(geometry, FEW_LAYER, dtype):
            half = dtype in (torch.bfloat16, torch.float16)
            args = (a.float() if half and isinstance(a, Tensor) and a.dim() == 1 else a for a in call.args)
            yield GuardedCall(call.op, tuple(args))
