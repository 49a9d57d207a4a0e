"""The competitors, one timed step of each, and the check without which nothing is timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.cases import Work

CANDIDATES = ("eager", "torch.compile", "deepgen_fast")


class WrongResultError(AssertionError):
    """An operator's values or gradients are off: it is not timed."""


def build(work: Work, candidate: str) -> Callable[..., Any]:
    """The function a candidate runs; torch.compile compiles at its first call."""
    if candidate == "eager":
        return work.eager
    if candidate == "torch.compile":
        return torch.compile(work.eager, dynamic=False)
    return work.fused


def forward(function: Callable[..., Any], work: Work) -> tuple[Tensor, ...]:
    """Outputs as a tuple."""
    outputs = function(*work.inputs)
    return outputs if isinstance(outputs, tuple) else (outputs,)


def backward(outputs: tuple[Tensor, ...], work: Work) -> tuple[Tensor, ...]:
    """Gradients of what is trained, fresh, as an operator inside a network hands them on."""
    return torch.autograd.grad(outputs, work.trained, work.grad_outputs)


def timed_step(function: Callable[..., Any], work: Work) -> tuple[float, float]:
    """Seconds of the forward and of the backward; giving the memory back belongs to the backward."""
    start = time.perf_counter()
    outputs = forward(function, work)
    middle = time.perf_counter()
    gradients = backward(outputs, work)
    del outputs, gradients
    return middle - start, time.perf_counter() - middle


def check(work: Work) -> None:
    """Compare values and gradients of the operator with the reference in float64.

    A gate against timing a wrong answer; the tests of the operator are far stricter.

    Raises:
        WrongResultError: naming what differs.
    """
    wide = Work(
        tuple(t.detach().double().requires_grad_(t.requires_grad) for t in work.inputs),
        None if work.grad_outputs is None else tuple(t.double() for t in work.grad_outputs),
        work.eager,
        lambda *inputs: work.fused(*inputs, backend="reference"),
        work.costs,
    )
    found: list[Tensor] = []
    expected: list[Tensor] = []
    for each, results in ((work, found), (wide, expected)):
        torch.manual_seed(0)  # the same noise in both
        outputs = forward(each.fused, each)
        results.extend((*outputs, *backward(outputs, each)))
    for index, (value, truth) in enumerate(zip(found, expected, strict=True)):
        try:
            torch.testing.assert_close(
                value.double(), truth, rtol=1e-5, atol=1e-6 * max(1.0, float(truth.detach().abs().max()))
            )
        except AssertionError as error:
            raise WrongResultError(f"output or gradient {index}: {error}") from error
