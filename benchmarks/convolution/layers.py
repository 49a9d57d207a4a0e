"""What is measured of one layer: forward, input gradient and weight gradient of a transposed convolution.

A convolution's three passes are the same kernels in another order, so one direction stands for both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from deepgen_fast.ops.convolution import native

PASSES = ("forward", "input gradient", "weight gradient")
CANDIDATES = ("PyTorch, contiguous", "PyTorch, channels-last", "minimal filtering")


class Layer(NamedTuple):
    """A transposed convolution of ``[batch, inputs, size, size]``; ``target``: the speed-up aimed at."""

    batch: int
    inputs: int
    outputs: int
    size: int
    kernel: int = 4
    stride: int = 2
    padding: int = 1
    output_padding: int = 0
    target: float = 1.8

    def __str__(self) -> str:
        return (
            f"{self.batch}: {self.inputs} -> {self.outputs} at {self.size}x{self.size}, k{self.kernel} s{self.stride}"
        )

    @property
    def multiply_adds(self) -> float:
        """Of the direct algorithm, in each pass."""
        return self.batch * self.size**2 * self.kernel**2 * self.inputs * self.outputs


_CHANNELS = ((512, 256, 8), (256, 128, 16))
LAYERS = (
    *(Layer(batch, *channels) for batch in (64, 128) for channels in _CHANNELS),
    Layer(64, 1024, 512, 4, target=1.6),
    *(Layer(16, *channels, target=1.4) for channels in _CHANNELS),
    *(Layer(64, *channels, kernel=5, padding=2, output_padding=1, target=2.0) for channels in _CHANNELS),
    *(Layer(64, *channels, kernel=3, padding=1, output_padding=1, target=1.25) for channels in _CHANNELS),
    *(Layer(64, *channels, kernel=3, stride=1, padding=1, target=1.8) for channels in _CHANNELS),
)


def steps(layer: Layer) -> dict[str, tuple[Callable[[], Tensor], ...]]:
    """For each pass, one call of each candidate; weights are transformed anew at each."""
    generator = torch.Generator().manual_seed(0)
    stride, padding, extra = layer.stride, layer.padding, layer.output_padding
    x = torch.randn(layer.batch, layer.inputs, layer.size, layer.size, generator=generator).relu()
    weight = 0.02 * torch.randn(layer.inputs, layer.outputs, layer.kernel, layer.kernel, generator=generator)
    grad = torch.randn(F.conv_transpose2d(x, weight, None, stride, padding, extra).shape, generator=generator)
    last_x, last_grad = (t.contiguous(memory_format=torch.channels_last) for t in (x, grad))

    def eager_forward(x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, weight, None, stride, padding, extra)

    def eager_backward(x: Tensor, grad: Tensor, image: bool) -> Tensor:
        found = torch.ops.aten.convolution_backward(
            grad, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], True, [extra] * 2, 1, [image, not image, False]
        )
        return found[0] if image else found[1]

    plain = (0, 0.0, False)  # no activation, no statistics
    return {
        "forward": (
            lambda: eager_forward(x),
            lambda: eager_forward(last_x),
            lambda: native.conv_transpose2d(last_x, weight, None, None, stride, padding, extra, extra, *plain)[0],
        ),
        "input gradient": (
            lambda: eager_backward(x, grad, True),
            lambda: eager_backward(last_x, last_grad, True),
            lambda: native.conv2d(last_grad, weight, None, None, stride, padding, *plain)[0],
        ),
        "weight gradient": (
            lambda: eager_backward(x, grad, False),
            lambda: eager_backward(last_x, last_grad, False),
            lambda: native.conv2d_weight_gradient(last_x, last_grad, layer.kernel, stride, padding),
        ),
    }
