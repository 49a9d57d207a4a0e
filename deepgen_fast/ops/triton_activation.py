"""The activations that close a convolution or a batch norm: the Triton twin of csrc/math/activation.h."""

from __future__ import annotations

import triton
import triton.language as tl

from deepgen_fast.ops.triton_math import divide, exp, positive_part

# The numbers are part of the operators' schemas.
NO_ACTIVATION, RELU, LEAKY_RELU, TANH, SIGMOID = (tl.constexpr(code) for code in range(5))


def activation_constants(activation: int, negative_slope: float) -> dict[str, int | float]:
    """What a kernel is compiled for. A constant slope, since an argument would be rounded to float32."""
    slope = negative_slope if activation == LEAKY_RELU.value else 0.0
    return {"ACTIVATION": activation, "NEGATIVE_SLOPE": slope}


@triton.jit
def sigmoid(x):
    """1 / (1 + e^-x), from exp(-|x|), which never overflows."""
    decay = exp(-tl.abs(x))
    inverse = divide(tl.full(x.shape, 1.0, x.dtype), decay + 1.0)
    return tl.where(x < 0.0, decay * inverse, inverse)


@triton.jit
def _fma(x, y, ADDEND: tl.constexpr):
    """x y + a constant, which ``tl.fma`` itself rounds to float32 before Triton 3.9."""
    return tl.fma(x, y, tl.full(x.shape, ADDEND, x.dtype))


@triton.jit
def _tanh_near_zero(x):
    """tanh x for |x| < 0.625, where 1 - exp would cancel: an odd polynomial, or in float64 an odd quotient
    (Cephes)."""
    square = x * x
    if x.dtype == tl.float64:
        p = _fma(square, tl.full(x.shape, -9.64399179425052238628e-1, x.dtype), -9.92877231001918586564e1)
        p = _fma(p, square, -1.61468768441708447952e3)
        q = _fma(square + 1.12811678491632931402e2, square, 2.23548839060100448583e3)
        q = _fma(q, square, 4.84406305325125486048e3)
        return tl.fma(x * square, p / q, x)
    else:
        p = tl.fma(square, -5.70498872745e-3, 2.06390887954e-2)
        p = tl.fma(p, square, -5.37397155531e-2)
        p = tl.fma(p, square, 1.33314422036e-1)
        p = tl.fma(p, square, -3.33332819422e-1)
        return tl.fma(p * square, x, x)


@triton.jit
def tanh(x):
    """tanh x with the limits -1 and 1, NaN kept."""
    size = tl.abs(x)
    decay = exp(size * -2.0)
    far = 1.0 - divide(decay + decay, decay + 1.0)
    return tl.where(size < 0.625, _tanh_near_zero(x), tl.where(x < 0.0, -far, far))


@triton.jit
def activate(x, NEGATIVE_SLOPE: tl.constexpr, ACTIVATION: tl.constexpr):
    """activation(x), NaN kept."""
    if ACTIVATION == RELU:
        return positive_part(x)
    elif ACTIVATION == LEAKY_RELU:
        return tl.where(x > 0.0, x, x * NEGATIVE_SLOPE)
    elif ACTIVATION == TANH:
        return tanh(x)
    elif ACTIVATION == SIGMOID:
        return sigmoid(x)
    else:
        return x


@triton.jit
def activation_gradient(grad, x, NEGATIVE_SLOPE: tl.constexpr, ACTIVATION: tl.constexpr):
    """grad * derivative, from the activation's argument x: its value need not be stored.

    Where relu is flat the gradient is 0 whatever grad is, and a NaN argument lets grad pass, both as in eager.
    """
    if ACTIVATION == RELU:
        return tl.where(x <= 0.0, 0.0, grad)
    elif ACTIVATION == LEAKY_RELU:
        return tl.where(x > 0.0, grad, grad * NEGATIVE_SLOPE)
    elif ACTIVATION == TANH or ACTIVATION == SIGMOID:  # noqa: SIM109
        # With s = sigmoid(-|x|), at most a half: sigmoid'(x) = s - s^2, tanh'(x) = 4 sigmoid'(2 x). Nothing cancels.
        decay = exp(tl.abs(x) * (-2.0 if ACTIVATION == TANH else -1.0))
        s = divide(decay, decay + 1.0)
        return grad * ((s - s * s) * (4.0 if ACTIVATION == TANH else 1.0))
    else:
        return grad
