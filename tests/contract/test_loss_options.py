"""The options of negative_elbo on every backend: beta, free bits, dtypes and empty batches."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import deepgen_fast as dgf
from contract import eager


def _inputs(device: str, batch: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    output, target = torch.randn(2, batch, 5, device=device)
    mean, logvar = torch.randn(2, batch, 4, device=device)
    return output, target.sigmoid(), mean, logvar


def _gradient(leaf: Tensor, device: str, backend: str, **options) -> Tensor:
    leaf = leaf.to(device).requires_grad_()
    pixels = torch.zeros(leaf.shape[0], 2, device=device)
    loss = dgf.negative_elbo(pixels, pixels, leaf, torch.zeros_like(leaf), backend=backend, **options)
    return torch.autograd.grad(loss, leaf)[0].cpu()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gradient_at_the_free_bits(reduction: str, backend: str, device: str) -> None:
    """A dimension below gets none; one exactly at the free bits gets it all, as clamp has it; so does one above."""
    mean = torch.tensor([[0.9, 1.0, 1.1], [0.9, -1.0, 1.1]])  # KL 0.405, 0.5, 0.605
    found = _gradient(mean, device, backend, free_bits=0.5, reduction=reduction)
    expected = mean / 2 if reduction == "mean" else mean
    torch.testing.assert_close(found, torch.where(torch.tensor([False, True, True]), expected, 0.0))


@pytest.mark.parametrize("beside", [-1e-12, 0.0, 1e-12])
def test_free_bits_that_float32_rounds(beside: float, backend: str, device: str) -> None:
    """Backends compare in one precision: free bits that round to a KL of float32 are that KL."""
    mean = torch.tensor([[0.7, 0.8, 0.9]])
    kl = 0.5 * mean.square()
    found = _gradient(mean, device, backend, free_bits=kl[0, 1].item() + beside)
    assert torch.equal(found, torch.tensor([[0.0, 0.8, 0.9]]))


def test_nan_under_free_bits(backend: str, device: str) -> None:
    """A KL that is NaN is not taken for one that costs nothing; its gradient is 0, as clamp has it."""
    mean = torch.tensor([[math.nan, 0.1]], device=device)
    pixels = torch.zeros(1, 2, device=device)
    assert dgf.negative_elbo(pixels, pixels, mean, 0 * mean, free_bits=0.5, backend=backend).isnan()
    assert (_gradient(mean, device, backend, free_bits=0.5) == 0).all()


@pytest.mark.parametrize("free_bits", [0.0, 0.5])
def test_no_examples(free_bits: float, backend: str, device: str) -> None:
    """A sum over none is 0, with free bits too; a mean is NaN, as torch has it."""
    inputs = [value.requires_grad_() for value in _inputs(device, batch=0)]
    options = {"free_bits": free_bits, "backend": backend}
    total = dgf.negative_elbo(*inputs, reduction="sum", **options)
    assert total.item() == 0.0
    assert all(grad.shape == leaf.shape for grad, leaf in zip(torch.autograd.grad(total, inputs), inputs, strict=True))
    assert dgf.negative_elbo(*inputs, **options).isnan()


def test_no_weight_leaves_an_overflowed_kl_out(backend: str, device: str) -> None:
    """beta=0 gives the likelihood alone, and zero gradients to the posterior: where a warm-up begins."""
    output, target, mean, _ = _inputs(device)
    expected = -dgf.bernoulli_log_likelihood(output, target, reduction="mean", backend=backend)
    for options in ({}, {"free_bits": 0.5}, {"reduction": "sample"}):
        leaves = [output.clone(), mean.clone(), torch.full_like(mean, 1e3)]
        moved, mean_leaf, logvar_leaf = (leaf.requires_grad_() for leaf in leaves)
        loss = dgf.negative_elbo(moved, target, mean_leaf, logvar_leaf, beta=0.0, **options, backend=backend)
        torch.testing.assert_close(loss.mean(), expected)
        grads = torch.autograd.grad(loss.mean(), leaves)
        assert grads[0].abs().max() > 0 and (grads[1] == 0).all() and (grads[2] == 0).all()


@pytest.mark.parametrize("options", [{}, {"free_bits": 0.4}, {"reduction": "sum"}, {"reduction": "sample"}])
@pytest.mark.parametrize("value", [0.0, 2.0])
def test_trained_beta(options: dict, value: float, backend: str, device: str) -> None:
    """A beta that requires a gradient gets the KL's term, and the others get what they get with a number."""
    inputs = _inputs(device)

    def gradients(run, beta: float | Tensor) -> list[Tensor]:
        leaves = [inputs[0].clone(), inputs[2].clone(), inputs[3].clone()]
        output, mean, logvar = (leaf.requires_grad_() for leaf in leaves)
        found = run(output, inputs[1], mean, logvar, beta=beta, **options)
        total = (found if isinstance(found, Tensor) else found[0]).sum()
        return list(torch.autograd.grad(total, [*leaves, *([beta] if isinstance(beta, Tensor) else [])]))

    def ours(*args, **kwargs):
        return dgf.negative_elbo(*args, **kwargs, backend=backend)

    for shape in ((), (1,)):
        beta = torch.full(shape, value, device=device, requires_grad=True)
        found = gradients(ours, beta)
        assert found[3].shape == shape
        expected = gradients(eager.negative_elbo, torch.tensor(value, device=device, requires_grad=True))
        plain = gradients(ours, value)
        for one, two in zip(found, expected, strict=True):
            torch.testing.assert_close(one.reshape(two.shape), two, rtol=1e-5, atol=1e-6)
        for one, two in zip(found, plain, strict=False):
            torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)


def test_beta_of_other_kinds(backend: str, device: str) -> None:
    """Numbers of NumPy and tensors without a gradient are the number they hold."""
    inputs = _inputs(device)
    expected = dgf.negative_elbo(*inputs, beta=2.0, backend=backend)
    for beta in (2, torch.tensor(2.0), torch.tensor([2.0]).numpy()[0], torch.tensor(2.0).half()):
        assert torch.equal(dgf.negative_elbo(*inputs, beta=beta, backend=backend), expected)


def test_beta_in_a_compiled_step() -> None:
    """A tensor stays one: no graph break, no recompilation as it changes."""
    inputs, counted = _inputs("cpu"), []

    def count(graph, _):
        counted.append(graph)
        return graph

    step = torch.compile(lambda beta: dgf.negative_elbo(*inputs, beta=beta), backend=count, fullgraph=True)
    for beta in (0.5, 1.0, 2.0):
        expected = dgf.negative_elbo(*inputs, beta=torch.tensor(beta, requires_grad=True))
        torch.testing.assert_close(step(torch.tensor(beta)), expected.detach())
    assert len(counted) == 1


@pytest.mark.parametrize("reduction", ["mean", "sum", "sample"])
@pytest.mark.parametrize("wide", ["decoder_output", "mean"])
def test_two_accumulation_dtypes(wide: str, reduction: str, backend: str, device: str) -> None:
    """float64 on one side makes a float64 loss, on every route; gradients have their tensor's dtype."""
    output, target, mean, logvar = _inputs(device)
    if wide == "mean":
        mean, logvar = mean.double(), logvar.double()
    else:
        output = output.double()
    leaves = [leaf.requires_grad_() for leaf in (output, mean, logvar)]
    loss = dgf.negative_elbo(output, target, mean, logvar, reduction=reduction, backend=backend)
    assert loss.dtype == torch.float64
    detached = [leaf.detach() for leaf in leaves]
    without = dgf.negative_elbo(detached[0], target, *detached[1:], reduction=reduction, backend=backend)
    assert without.dtype == torch.float64 and torch.equal(without, loss)
    grads = torch.autograd.grad(loss.sum(), leaves)
    assert [grad.dtype for grad in grads] == [leaf.dtype for leaf in leaves]
    expected = eager.negative_elbo(
        output.detach().double(), target.double(), mean.detach().double(), logvar.detach().double(), reduction=reduction
    )[0]
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-6)


def test_an_infinite_feature_beside_itself(backend: str, device: str) -> None:
    """An example's similarity to itself is the constant 1, whatever its features, without gradient."""
    features = torch.randn(5, 2, 3, device=device)
    features[1, 0, 2] = math.inf
    leaf = features.requires_grad_()
    others = dgf.minibatch_discrimination(leaf, backend=backend)
    found = dgf.minibatch_discrimination(leaf, include_self=True, backend=backend)
    torch.testing.assert_close(found, others + 1)
    assert found[1, 0] == 1
    grads = [torch.autograd.grad(value.sum(), leaf)[0] for value in (found, others)]
    assert grads[0].isfinite().all() and torch.equal(*grads)
