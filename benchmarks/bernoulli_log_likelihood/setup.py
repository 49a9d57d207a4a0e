"""log p(target | logits) per example; the logits are trained."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

import deepgen_fast as dgf
from benchmarks.cases import EXP, LOG1P, Case, Cost, Draw, Work, with_both

_SHAPES = ((128, 784), (512, 784), (4096, 784), (64, 12288))
CASES = (
    *(Case("bernoulli_log_likelihood", shape, 2.0) for shape in _SHAPES),
    Case("bernoulli_log_likelihood", (1024, 12288), 1.0),
)


def eager(logits: Tensor, target: Tensor) -> Tensor:
    return -F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(1)


def setup(case: Case) -> Work:
    draw = Draw()
    rows, columns = case.shape
    n = rows * columns
    return Work(
        inputs=(draw.trained(rows, columns), draw.unit(rows, columns)),
        grad_outputs=(torch.full((rows,), -1 / rows),),
        eager=eager,
        fused=dgf.bernoulli_log_likelihood,
        costs=with_both(
            Cost(8 * n, (4 * rows,), (EXP + LOG1P + 6) * n), Cost(8 * n + 4 * rows, (4 * n,), (EXP + 8) * n)
        ),
    )
