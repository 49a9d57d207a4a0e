"""What is measured of one layer: forward, input gradient and weight gradient of a transposed convolution.

A convolution's three passes are the same kernels in another order, so one direction stands for both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from deepgen_fast.ops.convolution import dispatch
from deepgen_fast.ops.convolution.algorithm import CONV2D, CONV_TRANSPOSE2D, WEIGHT_GRADIENT
from deepgen_fast.ops.convolution.arguments import check_operands

PASSES = ("forward", "input gradient", "weight gradient")
CANDIDATES = ("PyTorch, contiguous", "PyTorch, channels-last", "torch.compile", "algorithm='auto'")


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
    *(Layer(64, inputs, 3, 32, target=2.5) for inputs in (64, 128)),
    *(Layer(64, *channels, kernel=5, padding=2, output_padding=1, target=2.0) for channels in _CHANNELS),
    *(Layer(64, *channels, kernel=3, padding=1, output_padding=1, target=1.25) for channels in _CHANNELS),
    *(Layer(64, *channels, kernel=3, stride=1, padding=1, target=1.8) for channels in _CHANNELS),
)


def steps(layer: Layer) -> dict[str, tuple[Callable[[], Tensor], ...]]:
    """For each pass, with the algorithm chosen, one call of each candidate; weights are transformed anew at each."""
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

    descriptor = check_operands(True, x, weight, None, stride, padding, extra, "auto", "auto").descriptor
    torch.compiler.reset()
    compiled_forward = torch.compile(eager_forward, dynamic=False)
    compiled_backward = torch.compile(eager_backward, dynamic=False)
    chosen = [
        descriptor.pass_choice(kernel, True, x, weight, (extra, extra)).algorithm
        for kernel in (CONV_TRANSPOSE2D, CONV2D, WEIGHT_GRADIENT)
    ]
    candidates = (
        (
            lambda: eager_forward(x),
            lambda: eager_forward(last_x),
            lambda: compiled_forward(last_x),
            lambda: dispatch.conv_transpose2d(last_x, weight, None, None, (extra, extra), descriptor, dispatch.PLAIN)[
                0
            ],
        ),
        (
            lambda: eager_backward(x, grad, True),
            lambda: eager_backward(last_x, last_grad, True),
            lambda: compiled_backward(last_x, last_grad, True),
            lambda: dispatch.conv2d(last_grad, weight, None, None, descriptor, dispatch.PLAIN)[0],
        ),
        (
            lambda: eager_backward(x, grad, False),
            lambda: eager_backward(last_x, last_grad, False),
            lambda: compiled_backward(last_x, last_grad, False),
            lambda: dispatch.weight_gradient(last_x, last_grad, descriptor),
        ),
    )
    names = (f"{name} ({algorithm})" for name, algorithm in zip(PASSES, chosen, strict=True))
    return dict(zip(names, candidates, strict=True))
