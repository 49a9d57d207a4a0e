"""Bernoulli log-likelihood of one pixel from its logit: the Triton twin of
csrc/ops/bernoulli_log_likelihood/math.h."""

from __future__ import annotations

import triton
import triton.language as tl

from deepgen_fast.ops.triton_math import exp, log1p_unit, negative_part, reciprocal_unit


@triton.jit
def bernoulli_value(logit, target, decay):
    """target log s(logit) + (1 - target) log(1 - s(logit)), where decay = exp(-|logit|) (13.16, 13.17)."""
    return tl.fma(target - 1.0, logit, negative_part(logit)) - log1p_unit(decay)


@triton.jit
def bernoulli_logit_slope(logit, target, decay):
    """d/d logit = target - sigmoid(logit), from the same decay; d/d target is the logit itself."""
    inverse = reciprocal_unit(decay + 1.0)
    return target - tl.where(logit < 0.0, decay * inverse, inverse)


@triton.jit
def bernoulli_terms(logit, target, logvar):
    """(value, d/d logit, d/d target, d/d logvar) of one pixel; what a kernel does not use is not compiled."""
    decay = exp(-tl.abs(logit))
    return bernoulli_value(logit, target, decay), bernoulli_logit_slope(logit, target, decay), logit, 0.0
