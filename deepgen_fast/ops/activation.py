"""The activations that an epilogue applies: their codes in the kernels, values and derivatives."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# The kernels take the index.
ACTIVATIONS = ("none", "relu", "leaky_relu", "tanh", "sigmoid")
NONE, RELU, LEAKY_RELU, TANH, SIGMOID = range(5)


def activate(value: Tensor, activation: int, negative_slope: float) -> Tensor:
    if activation == RELU:
        return F.relu(value)
    if activation == LEAKY_RELU:
        return F.leaky_relu(value, negative_slope)
    if activation == TANH:
        return torch.tanh(value)
    return torch.sigmoid(value) if activation == SIGMOID else value


def activate_(value: Tensor, activation: int, negative_slope: float) -> Tensor:
    """In place: for a result that nobody else holds."""
    if activation == RELU:
        return value.relu_()
    if activation == LEAKY_RELU:
        return F.leaky_relu_(value, negative_slope)
    if activation == TANH:
        return value.tanh_()
    return value.sigmoid_() if activation == SIGMOID else value


def gradient_from_output(grad: Tensor, output: Tensor, activation: int, negative_slope: float) -> Tensor:
    """Gradient before the activation, from the activation's output, in one pass; differentiable in both.

    A leaky ReLU's output tells the sign of its argument only where the slope is positive.
    """
    if activation == RELU:
        return torch.ops.aten.threshold_backward(grad, output, 0)  # a NaN passes the gradient
    if activation == LEAKY_RELU:
        return torch.ops.aten.leaky_relu_backward(grad, output, negative_slope, True)
    if activation == TANH:
        return torch.ops.aten.tanh_backward(grad, output)
    return torch.ops.aten.sigmoid_backward(grad, output) if activation == SIGMOID else grad


def gradient_from_argument(grad: Tensor, argument: Tensor, activation: int, negative_slope: float) -> Tensor:
    """Gradient before the activation, from what the activation was applied to; differentiable in both."""
    if activation == LEAKY_RELU:  # of any slope
        return torch.ops.aten.leaky_relu_backward(grad, argument, negative_slope, False)
    if activation != RELU:
        argument = activate(argument, activation, negative_slope)
    return gradient_from_output(grad, argument, activation, negative_slope)
