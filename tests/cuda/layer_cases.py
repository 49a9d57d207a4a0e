"""Calls of the launchers of convolutions, each with the same layer of torch: in float64 the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cuda.kernels import Kernels

SLOPE = 0.2
ACTIVATIONS: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda x: x, torch.relu, lambda x: F.leaky_relu(x, SLOPE), torch.tanh, torch.sigmoid,
)  # fmt: skip
# (kernel, stride, padding)
GEOMETRIES = ((4, 2, 1), (3, 2, 1), (5, 2, 2), (3, 1, 1))
# (batch, channels of the small image, of the large, height and width of the small): tiles that fit, odd ones with odd
# channels, one pixel, packs of channels over several lanes and chunks of tiles.
SIZES = ((2, 8, 4, 4, 4), (3, 5, 7, 5, 3), (1, 16, 3, 1, 1), (2, 36, 40, 9, 6))
FEW_SIZES = ((2, 8, 4, 4, 4), (3, 5, 7, 5, 3), (1, 160, 3, 3, 2), (5, 33, 1, 6, 5), (2, 36, 16, 4, 7))


class LayerCall(NamedTuple):
    op: str
    args: tuple[Any, ...]
    layer: Callable[[torch.dtype], Tensor]  # computed in a type, from the same numbers

    def truth(self) -> Tensor:
        return self.layer(torch.float64)

    def eager(self) -> Tensor:
        return self.layer(self.args[0].dtype)

    def run(self, kernels: Kernels, misaligned: bool = False) -> list[Tensor]:
        return kernels(self.op, *self.args, misaligned=misaligned)


def _per_channel(x: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    x = x if scale is None else x * scale.to(x.dtype)[:, None, None]
    return x if shift is None else x + shift.to(x.dtype)[:, None, None]


def _transposed(x: Tensor, weight: Tensor, geometry: tuple[int, int, int], output_padding: tuple[int, int]) -> Tensor:
    _, stride, padding = geometry
    return F.conv_transpose2d(x, weight, stride=stride, padding=padding, output_padding=output_padding)


def _layers(
    prefix: str,
    geometry: tuple[int, int, int],
    size: tuple[int, int, int, int, int],
    dtype: torch.dtype,
    statistics: tuple[bool, ...],
) -> Iterator[LayerCall]:
    kernel, stride, padding = geometry
    batch, few, many, height, width = size
    for number, extra in enumerate((0, 1) if stride > 1 else (0,)):
        memory_format = torch.contiguous_format if number else torch.channels_last
        output_padding, activation = (extra, 0 if few % 2 else extra), (number + height) % 5
        small = torch.randn(batch, few, height, width, dtype=dtype)
        weight = torch.randn(few, many, kernel, kernel, dtype=dtype)
        large = torch.randn_like(_transposed(small, weight, geometry, output_padding))
        small, large = (x.contiguous(memory_format=memory_format) for x in (small, large))
        for scaled in (False, True):
            scales = (torch.randn(few, dtype=dtype), torch.randn(many, dtype=dtype)) if scaled else (None, None)
            shifts = (torch.randn(few, dtype=dtype), torch.randn(many, dtype=dtype)) if scaled else (None, None)
            act = activation if scaled else 0
            flags = tuple(flag and not act for flag in statistics)
            yield LayerCall(
                f"{prefix}conv_transpose2d",
                (small, weight, scales[1], shifts[1], stride, padding, *output_padding, act, SLOPE, *flags),
                lambda t, s=small, w=weight, o=output_padding, a=act, u=scales[1], v=shifts[1]: ACTIVATIONS[a](
                    _per_channel(_transposed(s.to(t), w.to(t), geometry, o), u, v)
                ),
            )
            yield LayerCall(
                f"{prefix}conv2d",
                (large, weight, scales[0], shifts[0], stride, padding, act, SLOPE, *flags),
                lambda t, x=large, w=weight, a=act, u=scales[0], v=shifts[0]: ACTIVATIONS[a](
                    _per_channel(F.conv2d(x.to(t), w.to(t), stride=stride, padding=padding), u, v)
                ),
            )
        yield LayerCall(
            "few_channels_weight_gradient" if prefix else "conv2d_weight_gradient",
            (small, large, kernel, stride, padding),
            lambda t, s=small, x=large, w=weight: torch.nn.grad.conv2d_weight(
                x.to(t), w.shape, s.to(t), stride=stride, padding=padding
            ),
        )


def winograd_calls(geometry: tuple[int, int, int], size: tuple[int, int, int, int, int]) -> Iterator[LayerCall]:
    """The three convolutions by Winograd filtering, which are float32; the last result is the statistics."""
    yield from _layers("", geometry, size, torch.float32, (True,))


def few_channel_calls(
    geometry: tuple[int, int, int], size: tuple[int, int, int, int, int], dtype: torch.dtype
) -> Iterator[LayerCall]:
    """The image layers."""
    yield from _layers("few_channels_", geometry, size, dtype, ())


def layer_calls() -> Iterator[LayerCall]:
    """Every layer in every geometry, on sizes that have all the edges."""
    for geometry in GEOMETRIES:
        yield from winograd_calls(geometry, SIZES[1])
        yield from winograd_calls(geometry, SIZES[3])
        yield from few_channel_calls(geometry, FEW_SIZES[1], torch.float32)
        yield from few_channel_calls(geometry, FEW_SIZES[4], torch.float64)
