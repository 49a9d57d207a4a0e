"""Convolutions of every kind, as a user may ask for them, and random operands for them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

Value = int | tuple[int, int]


class Layer(NamedTuple):
    """``size`` is that of the transposed convolution's input; a convolution takes its output."""

    kernel: tuple[int, int]
    stride: Value
    padding: Value
    output_padding: Value = 0
    size: tuple[int, int] = (5, 6)

    def __str__(self) -> str:
        parts = (self.kernel, self.stride, self.padding, self.output_padding, self.size)
        return "-".join(str(part).replace(" ", "") for part in parts)

    @property
    def transposed(self) -> dict:
        return {"stride": self.stride, "padding": self.padding, "output_padding": self.output_padding}

    @property
    def forward(self) -> dict:
        return {"stride": self.stride, "padding": self.padding}


ENGINE = (
    Layer((4, 4), 2, 1),
    Layer((4, 4), 2, 1, 1, (3, 7)),
    Layer((4, 4), 2, 1, 0, (1, 1)),
    Layer((4, 4), 2, 1, 0, (8, 4)),
    Layer((3, 3), 2, 1, 1),
    Layer((3, 3), 2, 1, 0, (9, 2)),
    Layer((5, 5), 2, 2, 1),
    Layer((5, 5), 2, 2, 0, (4, 5)),
    Layer((3, 3), 1, 1),
    Layer((3, 3), (1, 1), (1, 1), (0, 0), (13, 1)),
)
EDGE = (Layer((4, 4), 1, 0, 0, (1, 1)), Layer((3, 5), 1, 0, 0, (1, 1)), Layer((1, 1), 1, 0, 0, (1, 1)))
OTHER = (
    Layer((4, 4), 1, 0),
    Layer((4, 4), 2, 0),
    Layer((2, 2), 2, 0),
    Layer((1, 1), 1, 0),
    Layer((3, 5), (1, 2), (0, 2), (0, 1)),
    Layer((5, 4), (3, 2), 1, (2, 1)),
    Layer((7, 7), 2, 3, 1),
)
LAYERS = (*ENGINE, *EDGE, *OTHER)


class Operands(NamedTuple):
    small: Tensor  # [batch, small_channels, h, w]
    large: Tensor  # [batch, large_channels, H, W]
    weight: Tensor  # [small_channels, large_channels, kernel_h, kernel_w]
    small_bias: Tensor
    large_bias: Tensor


def operands(
    layer: Layer, dtype: torch.dtype = torch.float32, batch: int = 3, channels: tuple[int, int] = (5, 4),
    device: str = "cpu",
) -> Operands:  # fmt: skip
    small = torch.randn(batch, channels[0], *layer.size).to(device, dtype)
    weight = torch.randn(*channels, *layer.kernel).to(device, dtype) / 8
    large = torch.randn_like(torch.nn.functional.conv_transpose2d(small, weight, **layer.transposed))
    biases = [torch.randn(count).to(device, dtype) for count in channels]
    return Operands(small, large, weight, *biases)
