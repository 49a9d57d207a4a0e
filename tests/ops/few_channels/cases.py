"""Layers between a small image of many channels and a large one of few, and PyTorch's operators for them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

OPERATORS = torch.ops.deepgen_fast
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
ACTIVATIONS = ("none", "relu", "leaky_relu", "tanh", "sigmoid")
SLOPE = 0.2
FORMATS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}


@dataclass(frozen=True)
class Layer:
    """The small image is [batch, many, height, width], the large one has ``few`` channels."""

    batch: int
    many: int
    few: int
    height: int
    width: int
    kernel: int = 4
    stride: int = 2
    padding: int = 1
    output_padding: int = 0

    def __str__(self) -> str:
        return (
            f"{self.batch}x{self.many}x{self.height}x{self.width}<->{self.few}"
            f" k{self.kernel}s{self.stride}p{self.padding}+{self.output_padding}"
        )

    def sizes(self) -> tuple[list[int], list[int], list[int]]:
        """Of the small image, the large one and the weight."""
        large = [
            (size - 1) * self.stride - 2 * self.padding + self.kernel + self.output_padding
            for size in (self.height, self.width)
        ]
        return (
            [self.batch, self.many, self.height, self.width],
            [self.batch, self.few, *large],
            [self.many, self.few, self.kernel, self.kernel],
        )


LAYERS = (
    Layer(2, 128, 3, 32, 32),
    Layer(3, 64, 3, 32, 32),
    Layer(3, 70, 3, 5, 7),
    Layer(1, 5, 1, 9, 3, kernel=3, output_padding=1),
    Layer(2, 20, 4, 6, 6, kernel=5, padding=2, output_padding=1),
    Layer(2, 33, 16, 7, 5, kernel=3, stride=1),
    Layer(2, 16, 3, 4, 4, output_padding=1),
    Layer(1, 24, 7, 5, 70, padding=0),
    Layer(1, 8, 2, 3, 3, kernel=5, stride=3, output_padding=2),
    Layer(2, 8, 3, 6, 5, kernel=1, stride=1, padding=0),
    Layer(2, 8, 3, 6, 5, kernel=1, stride=2, padding=0, output_padding=1),
    Layer(1, 200, 2, 1, 1),
    Layer(9, 40, 3, 1, 150),
)


@dataclass(frozen=True, eq=False)
class Given:
    """Operands of all three operators; scale and shift a channel of each output."""

    layer: Layer
    small: Tensor
    large: Tensor
    weight: Tensor
    small_affine: Tensor
    large_affine: Tensor

    def transposed(self, activation: str = "none", affine: bool = False) -> Tensor:
        one = self.layer
        scale, shift = self.large_affine if affine else (None, None)
        return OPERATORS.few_channels_conv_transpose2d(
            self.small, self.weight, scale, shift, one.stride, one.padding, one.output_padding, one.output_padding,
            ACTIVATIONS.index(activation), SLOPE,
        )  # fmt: skip

    def convolution(self, activation: str = "none", affine: bool = False) -> Tensor:
        scale, shift = self.small_affine if affine else (None, None)
        return OPERATORS.few_channels_conv2d(
            self.large, self.weight, scale, shift, self.layer.stride, self.layer.padding,
            ACTIVATIONS.index(activation), SLOPE,
        )  # fmt: skip

    def gradient(self) -> Tensor:
        one = self.layer
        return OPERATORS.few_channels_weight_gradient(self.small, self.large, one.kernel, one.stride, one.padding)

    def expected(self, name: str, dtype: torch.dtype, activation: str = "none", affine: bool = False) -> Tensor:
        """By PyTorch's operators in ``dtype``: float64 for the truth, the tensors' own for eager."""
        one = self.layer
        small, large, weight = (t.to(dtype).contiguous() for t in (self.small, self.large, self.weight))
        if name == "gradient":
            steps = ([one.stride] * 2, [one.padding] * 2, [1, 1], False, [0, 0], 1, (False, True, False))
            return torch.ops.aten.convolution_backward(small, large, weight, [0], *steps)[1]
        if name == "transposed":
            value = F.conv_transpose2d(small, weight, None, one.stride, one.padding, one.output_padding)
        else:
            value = F.conv2d(large, weight, None, one.stride, one.padding)
        if affine:
            given = self.large_affine if name == "transposed" else self.small_affine
            scale, shift = given.to(dtype).view(2, -1, 1, 1)
            value = value * scale + shift
        if activation == "leaky_relu":
            return F.leaky_relu(value, SLOPE)
        return value if activation == "none" else getattr(torch, activation)(value)


def make(layer: Layer, dtype: torch.dtype, small: str = "contiguous", large: str = "contiguous") -> Given:
    """Random operands; weights such that outputs are of order one."""
    images, wide = layer.sizes(), torch.float64 if dtype == torch.float64 else torch.float32
    fan = (layer.many * layer.kernel**2 / layer.stride**2) ** 0.5
    return Given(
        layer,
        torch.randn(images[0]).to(dtype).contiguous(memory_format=FORMATS[small]),
        torch.randn(images[1]).to(dtype).contiguous(memory_format=FORMATS[large]),
        (torch.randn(images[2]) / fan).to(dtype),
        torch.stack([torch.rand(layer.many) + 0.5, torch.randn(layer.many)]).to(wide),
        torch.stack([torch.rand(layer.few) + 0.5, torch.randn(layer.few)]).to(wide),
    )
