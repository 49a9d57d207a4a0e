"""Faults that are known and not mended yet: examples that show them are passed over. An entry goes with its fault."""

from __future__ import annotations

import torch

# A zero incoming gradient times what overflowed at an extreme log-variance gives NaN.
ZERO_TIMES_INFINITY = True
# negative_elbo rounds gradients of 16 bits before the incoming gradient is applied.
LOSS_SCALING = True
# 0 times a KL that overflowed is NaN.
NO_BETA = True
# Tensors of another layout get the dispatcher's errors.
CHANGES = {"sparse", "nested"}


def shows(op: str, dtype: torch.dtype, incoming: float, regime: str) -> bool:
    """Whether a call of this kind may show one of them."""
    if ZERO_TIMES_INFINITY and incoming == 0.0 and regime != "ordinary":
        return True
    half = dtype in (torch.float16, torch.bfloat16)
    return LOSS_SCALING and op == "negative_elbo" and half
