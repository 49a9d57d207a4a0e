"""The raw operators of batch norm with an activation, beside what eager computes and the truth in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

OPERATORS = torch.ops.deepgen_fast
EPSILON = 1e-5
SLOPE = 0.2
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
ACTIVATIONS = ("none", "relu", "leaky_relu", "tanh", "sigmoid")

# Channels that are and are not a multiple of the lanes; planes shorter than a vector, odd, and of several pieces.
SHAPES = (
    (4, 16, 4, 4),
    (3, 3, 9, 7),
    (2, 100, 5, 3),
    (7, 64, 1, 1),
    (5, 1, 6, 6),
    (2, 20, 33, 31),
    (1, 2, 300, 301),
    (65, 17, 8, 8),
    (6, 7),
    (2, 6, 11),
    (2, 5, 3, 4, 5),
)


def wide(dtype: torch.dtype) -> torch.dtype:
    """Of sums and parameters."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def apply(value: Tensor, activation: str) -> Tensor:
    """Eager's own operator."""
    if activation == "leaky_relu":
        return F.leaky_relu(value, SLOPE)
    return value if activation == "none" else getattr(torch, activation)(value)


@dataclass(frozen=True, eq=False)
class Case:
    """Inputs of forward and backward, and each expected result in float64 and as eager computes it."""

    input: Tensor
    grad_output: Tensor
    weight: Tensor
    bias: Tensor
    mean: Tensor
    invstd: Tensor
    activation: str

    @property
    def parameters(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.mean, self.invstd, self.weight, self.bias

    @property
    def number(self) -> int:
        return ACTIVATIONS.index(self.activation)

    def forward(self) -> Tensor:
        return OPERATORS.batch_norm_act(self.input, *self.parameters, self.number, SLOPE)

    def backward(self, training: bool) -> tuple[Tensor, Tensor, Tensor]:
        return OPERATORS.batch_norm_act_backward(
            self.grad_output, self.input, *self.parameters, self.number, SLOPE, training, True, True
        )

    def expected(self, training: bool, dtype: torch.dtype) -> list[Tensor]:
        """Output and the three gradients, by PyTorch's operators, in float64 or the input's dtype."""
        double = dtype == torch.float64
        image, grad = self.input.to(dtype), self.grad_output.to(dtype)
        mean, invstd, weight, bias = (p.double() if double else p for p in self.parameters)
        variance = invstd.double().pow(-2).sub(EPSILON).to(invstd.dtype)
        shape = (1, -1) + (1,) * (image.dim() - 2)
        if double:  # the definition: no variance in between
            normal = (image - mean.view(shape)) * invstd.view(shape) * weight.view(shape) + bias.view(shape)
        else:
            normal = F.batch_norm(image, mean, variance, weight, bias, False, 0.0, EPSILON)
        normal = normal.detach().requires_grad_()
        output = apply(normal, self.activation)
        (argument,) = torch.autograd.grad(output, normal, grad)
        if training:
            grads = torch.ops.aten.native_batch_norm_backward(
                argument, image, weight, mean, variance, mean, invstd, True, EPSILON, [True, True, True]
            )
            return [output.detach(), *grads]
        # In eval mode PyTorch's operator takes the inverse deviation from the variance: in float64, not the one given.
        grads = torch.ops.aten.native_batch_norm_backward(
            argument, image, weight, mean, invstd.pow(-2) - EPSILON, None, None, False, EPSILON, [True, True, True]
        )
        return [output.detach(), *grads]

    def terms(self) -> Tensor:
        """The larger of the two terms of the activation's argument; no activation is steeper than 1."""
        shape = (1, -1) + (1,) * (self.input.dim() - 2)
        mean, invstd, weight, bias = (p.double().view(shape) for p in self.parameters)
        return torch.maximum(((self.input.double() - mean) * invstd * weight).abs(), bias.abs())


def make(shape: Sequence[int], dtype: torch.dtype, activation: str, offset: float = 1.0, last: bool = False) -> Case:
    """Numbers of deviation 2 around ``offset``; parameters of their own for each channel."""
    image, grad = (offset + 2 * torch.randn(shape)).to(dtype), torch.randn(shape).to(dtype)
    if last:
        layout = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
        image, grad = image.to(memory_format=layout), grad.to(memory_format=layout)
    dims = [d for d in range(len(shape)) if d != 1]
    variance, mean = torch.var_mean(image.double(), dims, correction=0)
    weight, bias = torch.randn(2, shape[1]).to(wide(dtype))
    invstd = (variance + EPSILON).rsqrt()
    return Case(image, grad, weight, bias, mean.to(wide(dtype)), invstd.to(wide(dtype)), activation)
