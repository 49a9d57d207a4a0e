"""Contract 2, batched gradients: many incoming gradients at once give what they give one by one."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from torch import Tensor

import deepgen_fast as dgf
from contract.cases import CASES, TYPICAL, Case, Shape, to_device
from contract.convolutions import CONVOLUTIONS, TYPICAL_CONVOLUTIONS

EVERY = (*CASES, *CONVOLUTIONS)
SOME = (*TYPICAL, *TYPICAL_CONVOLUTIONS)
COUNT = 3


def _by_engine(outputs: list[Tensor], leaves: list[Tensor], incoming: list[Tensor], graph: bool) -> tuple[Tensor, ...]:
    return torch.autograd.grad(outputs, leaves, incoming, is_grads_batched=True, retain_graph=True, create_graph=graph)


def _by_vmap(outputs: list[Tensor], leaves: list[Tensor], incoming: list[Tensor], graph: bool) -> tuple[Tensor, ...]:
    def gradients(*each: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(outputs, leaves, each, retain_graph=True, create_graph=graph)

    return torch.func.vmap(gradients)(*incoming)


MAPS = {"is_grads_batched": _by_engine, "vmap": _by_vmap}


def _setting(case: Case, backend: str, device: str) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Outputs, leaves, and incoming gradients of the outputs, ``COUNT`` each."""
    inputs = to_device(case.inputs(Shape(3, (4,)), torch.float64), device)
    leaves = {name: inputs[name].requires_grad_() for name in case.differentiable}
    outputs = list(case.run({**inputs, **leaves}, backend))
    return outputs, list(leaves.values()), [torch.randn(COUNT, *output.shape).to(output) for output in outputs]


def _one_by_one(outputs: list[Tensor], leaves: list[Tensor], incoming: list[Tensor], graph: bool) -> list[Tensor]:
    each = [
        torch.autograd.grad(outputs, leaves, [g[i] for g in incoming], retain_graph=True, create_graph=graph)
        for i in range(COUNT)
    ]
    return [torch.stack(gradients) for gradients in zip(*each, strict=True)]


def _assert_close(found: Iterable[Tensor], expected: Iterable[Tensor]) -> None:
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_by_engine(case: Case, backend: str, device: str) -> None:
    """``is_grads_batched=True``, every option."""
    setting = _setting(case, backend, device)
    _assert_close(_by_engine(*setting, graph=False), _one_by_one(*setting, graph=False))


@pytest.mark.parametrize("case", SOME, ids=str)
def test_by_vmap(case: Case, backend: str, device: str) -> None:
    """torch.func.vmap of ``torch.autograd.grad``."""
    setting = _setting(case, backend, device)
    _assert_close(_by_vmap(*setting, graph=False), _one_by_one(*setting, graph=False))


@pytest.mark.parametrize("way", MAPS)
@pytest.mark.parametrize("case", SOME, ids=str)
def test_differentiated_again(case: Case, way: str, backend: str, device: str) -> None:
    """Batched gradients that are recorded have the derivatives of those taken one by one."""
    outputs, leaves, incoming = _setting(case, backend, device)
    second = []
    for run in (MAPS[way], _one_by_one):
        total = sum(gradient.square().sum() for gradient in run(outputs, leaves, incoming, graph=True))
        second.append(torch.autograd.grad(total, leaves, retain_graph=True, materialize_grads=True))
    _assert_close(*second)


def test_per_example_gradients_of_noise(backend: str, device: str) -> None:
    """With generated noise: every incoming gradient meets the noise of the one forward."""
    mean, logvar = torch.randn(2, 3, 5, dtype=torch.float64, device=device).requires_grad_().unbind()
    z, _ = dgf.reparameterize_kl(mean, logvar, backend=backend)
    incoming = torch.randn(COUNT, *z.shape, dtype=torch.float64, device=device)
    (found,) = torch.autograd.grad(z, logvar, incoming, is_grads_batched=True, retain_graph=True)
    torch.testing.assert_close(found, incoming * 0.5 * (z - mean).detach())
