"""Contract 2, gradients: right to the second order, whoever asks, and nothing that was saved is overwritten."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import deepgen_fast as dgf
from contract.cases import CASES, TYPICAL, Arguments, Case, Shape, case, cases_of, convert, to_device
from contract.convolutions import CONVOLUTIONS, TYPICAL_CONVOLUTIONS
from contract.measure import assert_bitwise, assert_within_ulps

TINY = Shape(2, (3,))
EVERY = (*CASES, *CONVOLUTIONS)
SOME = (*TYPICAL, *TYPICAL_CONVOLUTIONS)


def _leaves(inputs: Arguments, names: tuple[str, ...]) -> Arguments:
    return {n: v.detach().clone().requires_grad_() if n in names else v for n, v in inputs.items()}


def _total(outputs: tuple[Tensor, ...], seed: int = 3) -> Tensor:
    """A scalar that weighs every element of every output differently."""
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(o.shape, generator=generator).to(o) for o in outputs]
    return sum((o * w).sum() for o, w in zip(outputs, weights, strict=True))


def _gradients(case: Case, inputs: Arguments, backend: str, names: tuple[str, ...]) -> list[Tensor]:
    leaves = _leaves(inputs, names)
    return list(torch.autograd.grad(_total(case.run(leaves, backend)), [leaves[name] for name in names]))


def _function_of_leaves(case: Case, leaves: Arguments, backend: str):
    def function(*values: Tensor) -> tuple[Tensor, ...]:
        return case.run({**leaves, **dict(zip(case.differentiable, values, strict=True))}, backend)

    return function, [leaves[name] for name in case.differentiable]


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_first_order(case: Case, backend: str, device: str) -> None:
    """float64 gradcheck of every option, through the backend's own backward."""
    leaves = _leaves(to_device(case.inputs(TINY, torch.float64), device), case.differentiable)
    assert gradcheck(*_function_of_leaves(case, leaves, backend), nondet_tol=0.0)


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_second_order(case: Case, backend: str, device: str) -> None:
    """float64 gradgradcheck of every option: a backward that is recorded is differentiable torch code."""
    leaves = _leaves(to_device(case.inputs(TINY, torch.float64), device), case.differentiable)
    assert gradgradcheck(*_function_of_leaves(case, leaves, backend), nondet_tol=0.0)


def test_generated_noise_to_second_order(backend: str, device: str) -> None:
    """With noise drawn from a seed too, when the seed is the same at each evaluation."""
    mean, scale = torch.randn(2, 2, 3, dtype=torch.float64, device=device).requires_grad_()

    def function(mean: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        torch.manual_seed(7)
        return dgf.reparameterize_kl(mean, pre_softplus=scale, num_samples=2, backend=backend)

    assert gradcheck(function, (mean, scale))
    assert gradgradcheck(function, (mean, scale))


def test_gradient_of_noise(backend: str, device: str) -> None:
    """Noise that the caller brings may be trained."""
    inputs = to_device(case("reparameterize_kl-logvar-samples-prior").inputs(TINY, torch.float64), device)
    noise = inputs.pop("noise").requires_grad_()
    assert gradcheck(lambda noise: dgf.reparameterize_kl(**inputs, noise=noise, backend=backend)[0], (noise,))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
def test_gradient_of_noise_is_rounded_once(dtype: torch.dtype, backend: str, device: str) -> None:
    """In 16 bits the standard deviation is not rounded before it is multiplied; zero times a large one is zero."""
    logvar = torch.linspace(-3, 3, 301).to(device, dtype).view(1, -1)
    noise, incoming = torch.zeros_like(logvar).requires_grad_(), torch.full_like(logvar, 1.4375)
    z, _ = dgf.reparameterize_kl(torch.zeros_like(logvar), logvar, noise=noise, backend=backend)
    (found,) = torch.autograd.grad(z, noise, incoming)
    assert_within_ulps(found, incoming.double() * torch.exp(0.5 * logvar.double()), 0.5 + 1e-3)
    z, _ = dgf.reparameterize_kl(torch.zeros_like(logvar), torch.full_like(logvar, 1e4), noise=noise, backend=backend)
    assert (torch.autograd.grad(z, noise, torch.zeros_like(z))[0] == 0).all()


def test_trained_prior_and_target_of_the_loss(backend: str, device: str) -> None:
    """negative_elbo leaves its one pass where a prior or a target is trained; the gradients are still there."""
    inputs = to_device(case("negative_elbo-gaussian-shared").inputs(TINY, torch.float64), device)
    priors = torch.randn(2, 5, dtype=torch.float64, device=device)
    leaves = [inputs.pop("target").requires_grad_(), *(prior.requires_grad_() for prior in priors)]

    def function(target: Tensor, prior_mean: Tensor, prior_logvar: Tensor) -> Tensor:
        priors = {"prior_mean": prior_mean, "prior_logvar": prior_logvar}
        return dgf.negative_elbo(**inputs, target=target, **priors, free_bits=0.2, backend=backend)

    assert gradcheck(function, leaves)


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_partial_requires_grad(case: Case, backend: str, device: str) -> None:
    """The gradient of one input does not depend on which others are asked for."""
    inputs = to_device(case.inputs(Shape(3, (5,)), torch.float32), device)
    together = _gradients(case, inputs, backend, case.differentiable)
    for name, expected in zip(case.differentiable, together, strict=True):
        assert_bitwise(_gradients(case, inputs, backend, (name,))[0], expected, name)


SHARED_TENSORS: list[tuple[str, tuple[str, str], dict[str, Any]]] = [
    ("reparameterize_kl", ("mean", "logvar"), {"noise": 0.3 * torch.ones(3, 5)}),
    ("reparameterize_kl", ("mean", "prior_mean"), {"logvar": torch.ones(3, 5), "noise": torch.ones(3, 5)}),
    ("bernoulli_log_likelihood", ("logits", "target"), {}),
    ("gaussian_log_likelihood", ("mean", "logvar"), {"target": torch.ones(3, 5)}),
    ("gaussian_log_likelihood", ("target", "logvar"), {"mean": torch.ones(3, 5)}),
    ("negative_elbo", ("mean", "logvar"), {"decoder_output": torch.ones(3, 4), "target": torch.zeros(3, 4)}),
    ("negative_elbo", ("decoder_output", "mean"), {"target": torch.zeros(3, 5), "logvar": torch.ones(3, 5)}),
]


@pytest.mark.parametrize(("op", "names", "others"), SHARED_TENSORS, ids=lambda value: str(value)[:40])
def test_the_same_tensor_twice(op: str, names: tuple[str, str], others: Arguments, backend: str, device: str) -> None:
    """One tensor in two places gets the sum of both gradients (in an order that autograd is free to choose)."""
    run = getattr(dgf, op)
    others = convert(to_device(others, device), torch.float64)
    values = torch.rand(3, 5, device=device, dtype=torch.float64)
    shared = values.clone().requires_grad_()
    first, second = values.clone().requires_grad_(), values.clone().requires_grad_()

    def total(a: Tensor, b: Tensor) -> Tensor:
        found = run(**{names[0]: a, names[1]: b}, **others, backend=backend)
        return _total(found if isinstance(found, tuple) else (found,))

    (found,) = torch.autograd.grad(total(shared, shared), shared)
    apart = torch.autograd.grad(total(first, second), (first, second))
    torch.testing.assert_close(found, apart[0] + apart[1], rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_backward_twice_overwrites_nothing(case: Case, backend: str, device: str) -> None:
    """Two backward passes over a retained graph agree; inputs, outputs and incoming gradients keep their bits."""
    inputs = _leaves(to_device(case.inputs(Shape(3, (5,)), torch.float32), device), case.differentiable)
    outputs = case.run(inputs, backend)
    incoming = [torch.randn_like(output) for output in outputs]
    watched = [*(v for v in inputs.values() if isinstance(v, Tensor)), *outputs, *incoming]
    before = [value.detach().clone() for value in watched]
    leaves = [inputs[name] for name in case.differentiable]
    first = torch.autograd.grad(outputs, leaves, incoming, retain_graph=True)
    kept = [grad.clone() for grad in first]
    second = torch.autograd.grad(outputs, leaves, incoming)
    for one, two, copy in zip(first, second, kept, strict=True):
        assert_bitwise(one, two)
        assert_bitwise(one, copy)
    for value, copy in zip(watched, before, strict=True):
        assert_bitwise(value.detach(), copy)


@pytest.mark.parametrize("case", SOME, ids=str)
def test_gradients_accumulate(case: Case, backend: str, device: str) -> None:
    """``backward`` adds to ``.grad``: two equal steps give twice the gradient, to the bit."""
    inputs = to_device(case.inputs(Shape(3, (5,)), torch.float32), device)
    once = _gradients(case, inputs, backend, case.differentiable)
    leaves = _leaves(inputs, case.differentiable)
    for _ in range(2):
        _total(case.run(leaves, backend)).backward()
    for name, grad in zip(case.differentiable, once, strict=True):
        assert_bitwise(leaves[name].grad, 2 * grad, name)


@pytest.mark.parametrize("case", cases_of("reparameterize_kl"), ids=str)
@pytest.mark.parametrize("used", [0, 1], ids=["z", "kl"])
def test_unused_output(case: Case, used: int, backend: str, device: str) -> None:
    """Where only z, or only the KL, is used, the gradient is the one with zeros for the other."""
    leaves = _leaves(to_device(case.inputs(Shape(3, (5,)), torch.float32), device), case.differentiable)
    outputs = case.run(leaves, backend)
    sources = [leaves[name] for name in case.differentiable]
    incoming = [torch.zeros_like(output) for output in outputs]
    incoming[used] = torch.randn_like(outputs[used])
    expected = torch.autograd.grad(outputs, sources, incoming, retain_graph=True)
    found = torch.autograd.grad(outputs[used], sources, incoming[used], materialize_grads=True)
    for one, two in zip(found, expected, strict=True):
        assert torch.equal(one, two)  # -0.0 equals 0.0


@pytest.mark.parametrize("case", cases_of("negative_elbo"), ids=str)
@pytest.mark.parametrize("factor", [-2.0, 0.0, 0.37])
def test_incoming_gradient_of_the_loss(case: Case, factor: float, backend: str, device: str) -> None:
    """The gradients that the forward made are scaled by the incoming one, whatever it is."""
    leaves = _leaves(to_device(case.inputs(Shape(3, (5,)), torch.float32), device), case.differentiable)
    (loss,) = case.run(leaves, backend)
    sources = [leaves[name] for name in case.differentiable]
    incoming = torch.ones_like(loss)
    plain = torch.autograd.grad(loss, sources, incoming, retain_graph=True)
    scaled = torch.autograd.grad(loss, sources, factor * incoming)
    for one, two in zip(scaled, plain, strict=True):
        largest = float(two.abs().max())
        torch.testing.assert_close(one, factor * two, rtol=3e-6, atol=1e-6 * largest)


@pytest.mark.parametrize("case", SOME, ids=str)
def test_gradient_penalty(case: Case, backend: str, device: str) -> None:
    """A squared gradient norm, as in WGAN-GP and R1, trains: equal to eager's in float64."""
    inputs = case.inputs(Shape(3, (5,)), torch.float64)

    def penalty(run, inputs: Arguments) -> list[Tensor]:
        leaves = _leaves(inputs, case.differentiable)
        sources = [leaves[name] for name in case.differentiable]
        grads = torch.autograd.grad(_total(run(leaves)), sources, create_graph=True)
        squared_norm = sum(grad.square().sum() for grad in grads)
        return list(torch.autograd.grad(squared_norm, sources, materialize_grads=True))

    found = penalty(lambda leaves: case.run(leaves, backend), to_device(inputs, device))
    for one, two in zip(found, penalty(case.eager, inputs), strict=True):
        torch.testing.assert_close(one.cpu(), two, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("case", SOME, ids=str)
def test_recorded_backward_gives_the_same_gradient(case: Case, backend: str, device: str) -> None:
    """``create_graph=True`` does not change the gradient it records beyond rounding."""
    inputs = to_device(case.inputs(Shape(3, (5,)), torch.float64), device)
    plain = _gradients(case, inputs, backend, case.differentiable)
    leaves = _leaves(inputs, case.differentiable)
    sources = [leaves[name] for name in case.differentiable]
    recorded = torch.autograd.grad(_total(case.run(leaves, backend)), sources, create_graph=True)
    assert any(one.requires_grad for one in recorded)  # not all: a bias's gradient may depend on nothing
    for one, two in zip(recorded, plain, strict=True):
        torch.testing.assert_close(one.detach(), two, rtol=1e-12, atol=1e-13)


def test_no_gradient_is_recorded_without_need(backend: str, device: str) -> None:
    """Inputs that need no gradient, and ``no_grad``, give outputs without a graph."""
    for typical in SOME:
        inputs = to_device(typical.inputs(TINY, torch.float32), device)
        assert not any(output.requires_grad for output in typical.run(inputs, backend))
        with torch.no_grad():
            outputs = typical.run(_leaves(inputs, typical.differentiable), backend)
        assert not any(output.requires_grad for output in outputs)


def test_detached_parts_of_the_loss(backend: str, device: str) -> None:
    """The parts for monitoring carry no gradient, and agree with the operators that give them alone."""
    inputs = to_device(case("negative_elbo-bernoulli").inputs(Shape(4, (9,)), torch.float32), device)
    leaves = _leaves(inputs, ("decoder_output", "mean", "logvar"))
    parts = dgf.negative_elbo(**leaves, return_parts=True, backend=backend)
    assert parts.loss.requires_grad and not parts.log_likelihood.requires_grad and not parts.kl.requires_grad
    log_likelihood = dgf.bernoulli_log_likelihood(inputs["decoder_output"], inputs["target"], backend=backend)
    _, kl = dgf.reparameterize_kl(inputs["mean"], inputs["logvar"], backend=backend)
    assert_within_ulps(parts.log_likelihood, log_likelihood, 1)
    assert_within_ulps(parts.kl, kl, 1)
