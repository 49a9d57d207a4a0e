"""Scalar mathematics of the Triton kernels: each helper is the twin of the one in csrc/math/scalar_math.h.

float32 goes through polynomials of explicit fused multiply-adds. ``tl.exp`` compiles to ``ex2.approx``, whose
error grows with the argument and exceeds two units in the last place; these stay near one, cost about ten
instructions that a memory-bound kernel has to spare, and give the interpreter and the GPU the same bits.
float64 takes the library functions. Kernels are compiled without FP fusion (see triton_tiles), so an
expression rounds as written.
"""

from __future__ import annotations

import triton
import triton.language as tl

_LOG2_E = tl.constexpr(1.4426950408889634)
# ln 2 = high + low; n * high is exact for |n| < 2^15, so the range reduction loses nothing.
_LN2_HIGH = tl.constexpr(0.693359375)
_LN2_LOW = tl.constexpr(-2.1219444005469058e-4)
_TWO_PI_HIGH = tl.constexpr(6.2831854820251465)
_TWO_PI_LOW = tl.constexpr(-1.7484556e-7)
# Adding 1.5 * 2^23 rounds to the nearest integer and leaves that integer in the low bits of the sum.
_ROUND = tl.constexpr(12582912.0)
_ROUND_BITS = tl.constexpr(0x4B400000)
_SQRT_HALF_BITS = tl.constexpr(0x3F3504F3)


@triton.constexpr_function
def smallest_normal(dtype):
    """Smallest normal number of float32 or float64."""
    return 2.0**-1022 if dtype == tl.float64 else 2.0**-126


@triton.constexpr_function
def largest_finite(dtype):
    """Largest finite number of float32 or float64."""
    return (2.0 - 2.0**-52) * 2.0**1023 if dtype == tl.float64 else (2.0 - 2.0**-23) * 2.0**127


@triton.constexpr_function
def accumulation_dtype(dtype):
    """float64 for float64 elements, float32 for all others."""
    return tl.float64 if dtype == tl.float64 else tl.float32


@triton.jit
def _power_of_two(exponent):
    return ((exponent + 127) << 23).to(tl.float32, bitcast=True)


@triton.jit
def exp(x):
    """e^x with the limits 0 and inf, NaN kept, gradual underflow kept."""
    if x.dtype == tl.float64:
        return tl.exp(x)
    else:
        return _exp_single(x)


@triton.jit
def _exp_single(x):
    one, two = _exp_reduced_factors(tl.clamp(x, -104.0, 89.0, propagate_nan=tl.PropagateNan.ALL))
    return one * two


@triton.jit
def _exp_reduced_factors(bounded):
    """e^x for x in [-174, 176] or NaN; two factors, so that 2^128 and 2^-149 are within reach."""
    shifted = tl.fma(bounded, _LOG2_E, _ROUND)
    n = shifted - _ROUND
    # f = high + low; adding high last, exact as it is, spares one rounding.
    high = tl.fma(n, -_LN2_HIGH, bounded)
    low = n * -_LN2_LOW
    f = high + low
    p = tl.fma(f, 0.0013950724, 0.008369025)
    p = tl.fma(p, f, 0.041666202)
    p = tl.fma(p, f, 0.16666518)
    p = tl.fma(p, f, 0.5)
    p = (high + tl.fma(p * f, f, low)) + 1.0
    exponent = shifted.to(tl.int32, bitcast=True) - _ROUND_BITS
    half = exponent >> 1
    return p * _power_of_two(half), _power_of_two(exponent - half)


@triton.jit
def exp_factors(x):
    """e^x in two factors, saturated where the square of any number times e^x is infinite or next to nothing: 0
    times both is 0, and what is finite comes out though e^x itself is not."""
    if x.dtype == tl.float64:
        usual = tl.clamp(x, -700.0, 700.0, propagate_nan=tl.PropagateNan.ALL)
        return tl.exp(usual), tl.exp(tl.clamp(x - usual, -700.0, 700.0, propagate_nan=tl.PropagateNan.ALL))
    else:
        return _exp_reduced_factors(tl.clamp(x, -174.0, 176.0, propagate_nan=tl.PropagateNan.ALL))


@triton.jit
def weighted(grad, slope):
    """slope times an incoming gradient; a zero one gives zero, whatever the slope."""
    return tl.where(grad == 0.0, 0.0, grad * slope)


@triton.jit
def exp_finite(x):
    """e^x between the smallest normal and the largest finite number, so that 0 * exp_finite(x) is never
    NaN."""
    return tl.clamp(exp(x), smallest_normal(x.dtype), largest_finite(x.dtype), propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def _log1p_tail(f):
    """log(1 + f) - f for f in [sqrt(1/2) - 1, sqrt(2) - 1]."""
    p = tl.fma(f, 0.06915368, -0.11789808)
    p = tl.fma(p, f, 0.11872976)
    p = tl.fma(p, f, -0.12384348)
    p = tl.fma(p, f, 0.14218658)
    p = tl.fma(p, f, -0.16669251)
    p = tl.fma(p, f, 0.20002227)
    p = tl.fma(p, f, -0.24999987)
    p = tl.fma(p, f, 0.3333331)
    square = f * f
    return tl.fma(p * f, square, -0.5 * square)


@triton.jit
def log_positive(x):
    """log x for float32 x that is positive, normal and finite."""
    # Adding the distance from sqrt(1/2) to 1 makes the exponent field that of the nearest power of two.
    bits = x.to(tl.int32, bitcast=True) + (0x3F800000 - _SQRT_HALF_BITS)
    n = ((bits >> 23) - 127).to(tl.float32)
    f = ((bits & 0x007FFFFF) + _SQRT_HALF_BITS).to(tl.float32, bitcast=True) - 1.0
    tail = tl.fma(n, _LN2_LOW, _log1p_tail(f))
    return tl.fma(n, _LN2_HIGH, f + tail)


@triton.jit
def log(x):
    """log x with log 0 = -inf, log inf = inf, NaN for negative numbers."""
    if x.dtype == tl.float64:
        return tl.log(x)
    else:
        return _log_single(x)


@triton.jit
def _log_single(x):
    subnormal = x < smallest_normal(tl.float32)
    value = log_positive(tl.where(subnormal, x * 8388608.0, x))
    value = tl.where(subnormal, value - 15.942385152878742, value)
    value = tl.where(x == 0.0, float("-inf"), value)
    value = tl.where(x == float("inf"), x, value)
    return tl.where(x >= 0.0, value, float("nan"))


@triton.jit
def log1p_unit(x):
    """log(1 + x) for x in [0, 1]."""
    if x.dtype == tl.float64:
        one_more = 1.0 + x
        return tl.log(one_more) - ((one_more - 1.0) - x) / one_more
    else:
        large = x > 0.41421356
        f = tl.where(large, tl.fma(x, 0.5, -0.5), x)
        tail = _log1p_tail(f) + tl.where(large, _LN2_LOW, 0.0)
        # log(1 + x) = ln 2 + log(1 + f) beyond sqrt(2) - 1.
        return (f + tail) + tl.where(large, _LN2_HIGH, 0.0)


@triton.jit
def divide(x, y):
    """x / y rounded correctly; the plain operator is approximate in float32."""
    if x.dtype == tl.float64:
        return x / y
    else:
        return tl.div_rn(x, y)


@triton.jit
def reciprocal_unit(x):
    """1 / x for x in [1, 2]: the fast quotient after one Newton step."""
    first = 1.0 / x
    return tl.fma(first, tl.fma(-x, first, 1.0), first)


@triton.jit
def negative_part(x):
    """min(x, 0), NaN staying NaN."""
    return tl.minimum(x, 0.0, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def positive_part(x):
    """max(x, 0), NaN staying NaN."""
    return tl.maximum(x, 0.0, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def sincos_turn(u):
    """sin and cos of 2 pi u, u in [0, 1], float32. The quarter turns come off exactly, before any
    rounding."""
    shifted = tl.fma(u, 4.0, _ROUND)
    f = tl.fma(shifted - _ROUND, -0.25, u)
    square = f * f
    s = tl.fma(square, 41.487576, -76.69838)
    s = tl.fma(s, square, 81.60521)
    s = tl.fma(s, square, -41.3417)
    s = tl.fma(f, _TWO_PI_HIGH, f * tl.fma(s, square, _TWO_PI_LOW))
    c = tl.fma(square, -26.064539, 60.238457)
    c = tl.fma(c, square, -85.45677)
    c = tl.fma(c, square, 64.93939)
    c = tl.fma(c, square, -19.739208)
    c = tl.fma(c, square, 1.0)
    quarter = shifted.to(tl.int32, bitcast=True)
    odd = (quarter & 1) != 0
    sine = tl.where(odd, c, s)
    cosine = tl.where(odd, s, c)
    # The sign bit of the sine is bit 1 of the quarter; of the cosine, bit 1 of the next quarter.
    sine_sign = (quarter & 2) << 30
    cosine_sign = ((quarter + 1) & 2) << 30
    sine = (sine.to(tl.int32, bitcast=True) ^ sine_sign).to(tl.float32, bitcast=True)
    cosine = (cosine.to(tl.int32, bitcast=True) ^ cosine_sign).to(tl.float32, bitcast=True)
    return sine, cosine
