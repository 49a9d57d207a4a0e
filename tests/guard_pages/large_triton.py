"""Triton launchers on tensors of more than 2^31 elements; see ``large.py``. Prints each call before it runs.

The interpreter runs of each axis of a grid every n-th program from either end; a GPU would run them all.
"""

from __future__ import annotations

import builtins
import itertools
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from triton.runtime import interpreter

from deepgen_fast.ops import triton_channels, triton_tiles
from deepgen_fast.ops.batch_norm_act import reference as batch_norm
from deepgen_fast.ops.convolution import reference as convolution
from deepgen_fast.ops.convolution import triton as convolution_launchers
from deepgen_fast.ops.convolution.triton_tiles import SplitTile, weight_gradient_tile
from guard_pages import large
from guard_pages.child import triton_launchers
from guard_pages.large import Large
from guard_pages.memory import sparse

BATCH_NORM = {"channel_statistics", "batch_norm_act", "batch_norm_act_backward"}
BATCH_NORM_TILES = 2  # of a CUDA block's channels in a tile
LONG_AXIS = 8  # programs; a shorter axis is walked whole


def partial_sums() -> Iterator[Large]:
    """The second steps of sums, whose operands are as large only for inputs that no memory holds."""
    sums = sparse((2**20 + 3, 2**11 + 5), torch.float32)
    sums[-1] = torch.randn(sums.shape[1])
    yield Large("row_sums", (sums, (len(sums),)), lambda: (sums[-1:].sum(1),), lambda out: out[-1:], 2**20)
    tiles, channels = 2**10 + 1, 2**20
    partial, counts = sparse((tiles, 2, channels), torch.float64), torch.full((tiles,), 3.0, dtype=torch.float64)
    partial[:, :, -16:] = torch.rand(tiles, 2, 16, dtype=torch.float64)

    def combined() -> tuple[Tensor]:
        mean, within = partial[:, 0, -16:], partial[:, 1, -16:]
        center = mean.mean(0)
        return (torch.stack([center, (within + 3.0 * (mean - center) ** 2).sum(0)]),)

    moments = triton_channels.Moments(partial, counts)
    yield Large("combine_moments", (moments,), combined, lambda out: out[:, -16:], channels)


def _images(count: int, channels: int, height: int, width: int) -> Tensor:
    """Channels-last, random in the last image alone."""
    pixels = sparse((count, height, width, channels), torch.bfloat16)
    pixels[-1] = torch.randn(height, width, channels)
    return pixels.movedim(-1, 1)


def convolutions() -> Iterator[Large]:
    """Each kernel with its larger operand as large; the last image, and of the transposed one its last phase."""
    plain = (1, 1, 0, 0.0, False)
    x, weight = _images(2**20 + 1, 32, 8, 8), torch.randn(8, 32, 3, 3).bfloat16() / 8
    yield Large(
        "conv2d", (x, weight, None, None, *plain),
        lambda: convolution.conv2d(x[-1:], weight, None, None, *plain),
        lambda out: out[-1:] if out.dim() == 4 else out, 2**40,
    )  # fmt: skip
    small, kernel = _images(2**20 + 1, 4, 4, 4), torch.randn(4, 32, 4, 4).bfloat16() / 8
    options = (2, 1, 0, 0, 0, 0.0, False)

    def phase(out: Tensor) -> Tensor:
        return out[-1:, :, 1::2, 1::2] if out.dim() == 4 else out

    yield Large(
        "conv_transpose2d", (small, kernel, None, None, *options),
        lambda: [phase(o) for o in convolution.conv_transpose2d(small[-1:], kernel, None, None, *options)],
        phase, 2**40,
    )  # fmt: skip
    grad, image = _images(2**10 + 1, 2**11, 32, 32), _images(2**10 + 1, 2, 32, 32)
    yield Large(
        "conv2d_weight_gradient", (grad, image, 3, 1, 1),
        lambda: [convolution.conv2d_weight_gradient(grad[-1:, -32:].float(), image[-1:].float(), 3, 1, 1)],
        lambda out: out[-32:], 2**40,
    )  # fmt: skip


def _training_batch_norm() -> Iterator[Large]:
    return itertools.islice(large.batch_norm_calls(), 3)  # the last kernel, of fixed statistics, is a part of these


def planar_batch_norm() -> Iterator[Large]:
    """Images whose channels lie apart: the last pixels of the last channel."""
    channels, height, width = 2, 2**15, 2**15 + 64
    image = sparse((1, channels, height, width), torch.bfloat16)
    image[0, -1, -1] = torch.randn(width)
    vectors = [torch.rand(channels) + 0.5 for _ in range(4)]

    def last(value: Any) -> Any:
        return value[:, -1:, -1:, -200:] if value.dim() == 4 else value[-1:]

    for op, args in (("batch_norm_act", (image, *vectors, 2, 0.2)),
                     ("batch_norm_act_backward", (image, image, *vectors, 2, 0.2, False, True, False))):  # fmt: skip
        small = tuple(last(a).clone() if isinstance(a, Tensor) else a for a in args)

        def expected(op: str = op, small: tuple[Any, ...] = small) -> Any:
            results = getattr(batch_norm, op)(*small)
            return results if isinstance(results, tuple) else (results,)

        yield Large(op, args, expected, last, 2**40)


def _cut(every: list[int]) -> Callable[..., Iterable[int]]:
    """In place of the ``range`` that the interpreter walks a grid by."""

    def chosen(*bounds: int) -> Iterable[int]:
        whole = builtins.range(*bounds)
        grid = sys._getframe(1).f_code.co_name == "__call__"
        # From the first on, too: the first program of a row of tiles writes what they have in common.
        return {*whole[:: every[0]], *whole[:: -every[0]]} if grid and len(whole) > LONG_AXIS else whole

    return chosen


def _lazily(zeros: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """In place of ``torch.empty``: zeros, as what programs leave that do not run; large ones take no memory."""

    def made(*size: Any, dtype: torch.dtype | None = None, memory_format: Any = None, **_: Any) -> Tensor:
        shape = tuple(size[0] if len(size) == 1 and not isinstance(size[0], int) else size)
        last = memory_format == torch.channels_last
        shape = (shape[0], *shape[2:], shape[1]) if last else shape
        found = (sparse if math.prod(shape) > 2**24 else zeros)(shape, dtype=dtype or torch.float32)
        return found.movedim(-1, 1) if last else found

    return made


def _short_splits(*sizes: Any) -> SplitTile:
    """A weight gradient's split walks its pixels in a loop, here of few steps."""
    tile, splits, steps = weight_gradient_tile(*sizes)
    return SplitTile(tile, -(-splits * steps // 64), 64)


def main() -> None:
    torch.set_num_threads(1)
    convolution_launchers.weight_gradient_tile = _short_splits
    torch.manual_seed(0)
    every = [1]
    interpreter.range = _cut(every)  # type: ignore[attr-defined]
    torch.empty = _lazily(torch.zeros)  # type: ignore[assignment]
    torch.empty_like = lambda like, dtype=None: torch.empty(like.shape, dtype=dtype or like.dtype)  # type: ignore
    operators = triton_launchers()
    operators |= {"row_sums": triton_tiles.row_sums, "combine_moments": triton_channels.combine_moments}
    count = 0
    first = (large.loss_call(), large.many_examples())
    makers = (large.many_samples, large.row_calls, _training_batch_norm, large.minibatch_calls, partial_sums,
              convolutions, planar_batch_norm)  # fmt: skip
    for call in itertools.chain(first, *(make() for make in makers)):
        print(call, flush=True)
        every[0] = call.every * BATCH_NORM_TILES if call.op in BATCH_NORM else call.every
        call.check(operators[call.op])
        count += 1
    print(count)


if __name__ == "__main__":
    main()
