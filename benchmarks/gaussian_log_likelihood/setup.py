"""log N(target; mean, variance) per example: a learned variance a pixel, and the unit variance."""

from __future__ import annotations

import math

import torch
from torch import Tensor

import deepgen_fast as dgf
from benchmarks.cases import EXP, Case, Cost, Draw, Work, with_both

_LOG_TWO_PI = math.log(2 * math.pi)
_SHAPES = ((128, 784), (512, 784), (4096, 784), (64, 12288))
PER_PIXEL, UNIT = "variance per pixel", "unit variance"
CASES = tuple(
    Case("gaussian_log_likelihood", shape, target, variant)
    for variant in (PER_PIXEL, UNIT)
    for shape, target in (*((shape, 2.0) for shape in _SHAPES), ((1024, 12288), 1.0))
)


def eager(mean: Tensor, target: Tensor, logvar: Tensor) -> Tensor:
    return -0.5 * (_LOG_TWO_PI + logvar + (target - mean).square() * torch.exp(-logvar)).sum(1)


def eager_unit(mean: Tensor, target: Tensor) -> Tensor:
    # The constant added after the sum: a pass over the pixels less.
    return -0.5 * ((target - mean).square().sum(1) + mean.shape[1] * _LOG_TWO_PI)


def fused(mean: Tensor, target: Tensor, logvar: Tensor, *, backend: str = "auto") -> Tensor:
    return dgf.gaussian_log_likelihood(mean, target, logvar=logvar, backend=backend)


def setup(case: Case) -> Work:
    draw = Draw()
    rows, columns = case.shape
    n = rows * columns
    grad = torch.full((rows,), -1 / rows)
    mean, target = draw.trained(rows, columns), draw.unit(rows, columns)
    if case.variant == UNIT:
        costs = with_both(Cost(8 * n, (4 * rows,), 4 * n), Cost(8 * n + 4 * rows, (4 * n,), 3 * n))
        return Work((mean, target), (grad,), eager_unit, dgf.gaussian_log_likelihood, costs)
    costs = with_both(Cost(12 * n, (4 * rows,), (EXP + 7) * n), Cost(12 * n + 4 * rows, (4 * n, 4 * n), (EXP + 9) * n))
    return Work((mean, target, draw.trained(rows, columns)), (grad,), eager, fused, costs)
