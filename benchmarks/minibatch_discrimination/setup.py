"""Sums of similarities under each kernel, among the examples of a batch: 5 or 16 dimensions a kernel."""

from __future__ import annotations

import torch
from torch import Tensor

import deepgen_fast as dgf
from benchmarks.cases import EXP, Case, Cost, Draw, Work, with_both

_DIMS = {"5 dims": 5, "16 dims": 16}  # the paper's code has 100 kernels of 5; others take 50 of 16
CASES = tuple(
    Case("minibatch_discrimination", (batch, kernels), 3.0, variant)
    for variant, kernels in (("5 dims", 100), ("16 dims", 50))
    for batch in (64, 128, 256, 512)
)


def eager(features: Tensor) -> Tensor:
    """As it is usually written; the term of an example with itself, which is 1, is taken off."""
    return torch.exp(-(features.unsqueeze(1) - features).abs().sum(-1)).sum(1) - 1.0


def setup(case: Case) -> Work:
    draw = Draw()
    batch, kernels = case.shape
    dims = _DIMS[case.variant]
    n, pairs = batch * kernels * dims, batch * (batch - 1) // 2 * kernels
    features = (draw.normal(batch, kernels, dims) / dims).requires_grad_()
    grad = draw.normal(batch, kernels)
    # Of a pair: a term of the distance is 3, a slope 4 and twice added 2.
    costs = with_both(
        Cost(4 * n, (4 * batch * kernels,), (3 * dims + EXP + 2) * pairs),
        Cost(4 * (n + batch * kernels), (4 * n,), (9 * dims + EXP + 2) * pairs),
    )
    return Work((features,), (grad,), eager, dgf.minibatch_discrimination, costs)
