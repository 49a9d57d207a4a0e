"""The activations that an epilogue applies: their codes in the kernels, values and derivatives."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from deepgen_fast.ops.autograd import needs_torch_code

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


def kept_for_backward(output: Tensor, activation: int) -> Tensor | None:
    """What :func:`gradient_from_kept` needs of an activation's output, so that the argument need not live.

    PyTorch's ReLU, Tanh and Sigmoid keep their output, which nobody may edit then. Its leaky ReLU keeps the argument
    and leaves the output to the caller; where that is positive is enough: a byte a number, of a slope that is not
    negative.
    """
    if activation == NONE:
        return None
    return output > 0 if activation == LEAKY_RELU else output


def gradient_from_kept(grad: Tensor, kept: Tensor, activation: int, negative_slope: float) -> Tensor:
    """Gradient before the activation; differentiable in ``grad`` and, where that is the output, in ``kept``."""
    if activation != LEAKY_RELU:
        return gradient_from_output(grad, kept, activation)
    if grad.is_cpu and not (needs_torch_code(grad) or torch.compiler.is_compiling()):
        # In one image of new memory, which costs more than a pass over it.
        signs = kept.to(grad.dtype)
        return torch.ops.aten.leaky_relu_backward.grad_input(grad, signs, negative_slope, True, grad_input=signs)
    return torch.where(kept, grad, grad * negative_slope)


def gradient_from_output(grad: Tensor, output: Tensor, activation: int) -> Tensor:
    """Gradient before an activation, from the activation's output, in one pass; differentiable in both.

    Not of a leaky ReLU, whose output tells the sign of its argument only where the slope is positive.
    """
    if activation == RELU:
        return torch.ops.aten.threshold_backward(grad, output, 0)  # a NaN passes the gradient
    if activation == TANH:
        return torch.ops.aten.tanh_backward(grad, output)
    return torch.ops.aten.sigmoid_backward(grad, output) if activation == SIGMOID else grad


def gradient_from_argument(grad: Tensor, argument: Tensor, activation: int, negative_slope: float) -> Tensor:
    """Gradient before the activation, from what the activation was applied to; differentiable in both."""
    if activation == LEAKY_RELU:  # of any slope
        return torch.ops.aten.leaky_relu_backward(grad, argument, negative_slope, False)
    if activation != RELU:
        argument = activate(argument, activation, negative_slope)
    return gradient_from_output(grad, argument, activation)
