"""Contract 8, limits: where a term leaves the dtype's range, values and gradients are still the formula's."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import deepgen_fast as dgf
from contract.measure import _same_kind

# exp of these is finite in float64, and mostly not in float32.
LOGVARS = (-300.0, -180.0, -100.0, -89.0, -87.0, -20.0, 0.0, 20.0, 87.0, 89.0, 100.0, 180.0, 300.0)
OFFSETS = (0.0, 1e-15, -0.25, 3.0, -1e15)


def _grid(device: str, *axes: tuple[float, ...]) -> list[Tensor]:
    grid = torch.meshgrid(*(torch.tensor(axis) for axis in axes), indexing="ij")
    return [axis.reshape(1, -1).to(device) for axis in grid]


def _assert_near(found: Tensor, truth: Tensor, terms: Tensor, name: str) -> None:
    """Within some units in the last place of the largest term; infinite past float32's range.

    Not looked at where a term is just beyond the range, and half of it is just inside.
    """
    largest = torch.finfo(torch.float32).max
    clear = (terms < 0.5 * largest) | (truth.abs() > largest)
    found, truth, terms = found.cpu()[clear], truth[clear], terms[clear]
    truth = torch.where(truth.abs() > largest, truth * math.inf, truth)
    finite = _same_kind(found, truth, name)
    error = (found.double() - truth).abs()[finite]
    assert (error <= 1e-6 * terms[finite] + 1e-37).all(), (name, error / terms[finite])


def _run(run, leaves: list[Tensor], incoming: float = 1.0) -> tuple[Tensor, list[Tensor]]:
    leaves = [leaf.clone().requires_grad_() for leaf in leaves]
    value = run(*leaves)
    return value.detach(), list(torch.autograd.grad(value, leaves, torch.full_like(value, incoming)))


def test_gaussian(backend: str, device: str) -> None:
    offset, logvar = _grid(device, OFFSETS, LOGVARS)
    mean, target = -offset, torch.zeros_like(offset)
    value, (grad_mean, grad_logvar) = _run(
        lambda m, v: dgf.gaussian_log_likelihood(m, target, logvar=v, reduction="none", backend=backend), [mean, logvar]
    )
    offset, logvar = offset.cpu().double(), logvar.cpu().double()
    square = offset.square() * torch.exp(-logvar)
    constant = logvar + math.log(2 * math.pi)
    _assert_near(value, -0.5 * (square + constant), square + constant.abs(), "value")
    _assert_near(grad_mean, offset * torch.exp(-logvar), (offset * torch.exp(-logvar)).abs(), "mean")
    _assert_near(grad_logvar, 0.5 * (square - 1), square + 1, "logvar")


@pytest.mark.parametrize("form", ["logvar", "std", "pre_softplus"])
def test_kl_against_a_far_prior(form: str, backend: str, device: str) -> None:
    scales = {"logvar": LOGVARS, "std": (1e-15, 0.5, 1.0, 1e10, 1e25), "pre_softplus": (-30.0, -1.0, 2.0, 1e20)}
    offset, scale, prior_logvar = _grid(device, OFFSETS[:4], scales[form], LOGVARS)
    prior_mean = torch.zeros_like(offset)
    names = (form, "prior_mean", "prior_logvar")

    def run(mean: Tensor, *others: Tensor) -> Tensor:
        given = dict(zip(names, others, strict=True))
        return dgf.reparameterize_kl(mean, **given, noise=0 * mean, reduction="none", backend=backend)[1]

    value, (grad_mean, grad_scale, grad_prior_mean, grad_prior_logvar) = _run(
        run, [offset, scale, prior_mean, prior_logvar]
    )
    offset, scale, prior_logvar = (t.cpu().double() for t in (offset, scale, prior_logvar))
    if form == "logvar":
        log_ratio, log_slope, slope_size = scale - prior_logvar, 1.0, 1.0
    else:
        std = scale if form == "std" else F.softplus(scale)
        log_ratio = 2 * std.log() - prior_logvar
        log_slope = 2 / std * (1.0 if form == "std" else torch.sigmoid(scale))  # d log sigma^2 / d scale
        slope_size = log_slope
    ratio, square = torch.exp(log_ratio), offset.square() * torch.exp(-prior_logvar)
    slope = offset * torch.exp(-prior_logvar)
    _assert_near(value, 0.5 * (ratio - 1 - log_ratio + square), ratio + 1 + log_ratio.abs() + square, "value")
    _assert_near(grad_mean, slope, slope.abs(), "mean")
    _assert_near(grad_scale, 0.5 * (ratio - 1) * log_slope, (ratio + 1) * slope_size, "scale")
    _assert_near(grad_prior_mean, -slope, slope.abs(), "prior_mean")
    _assert_near(grad_prior_logvar, 0.5 * (1 - ratio - square), ratio + 1 + square, "prior_logvar")


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=lambda d: str(d)[6:]
)
def test_kl_of_a_posterior_against_itself(dtype: torch.dtype, backend: str, device: str) -> None:
    """Exactly nothing, whatever its variance, and no gradient."""
    logvar = torch.tensor([[*LOGVARS, 0.7, -3.3, 1e4, -1e4]], device=device).to(dtype)
    mean = torch.full_like(logvar, 0.5)

    def run(mean: Tensor, logvar: Tensor, prior_mean: Tensor, prior_logvar: Tensor) -> Tensor:
        prior = {"prior_mean": prior_mean, "prior_logvar": prior_logvar}
        return dgf.reparameterize_kl(mean, logvar, **prior, noise=0 * mean, reduction="none", backend=backend)[1]

    value, grads = _run(run, [mean, logvar, mean, logvar])
    for found in (value, *grads):
        assert (found == 0).all()


def test_infinite_arguments_have_their_limits(backend: str, device: str) -> None:
    def gaussian(mean: float, target: float, logvar: float) -> float:
        mean, target, logvar = (torch.full((1, 1), x, device=device) for x in (mean, target, logvar))
        return dgf.gaussian_log_likelihood(mean, target, logvar=logvar, backend=backend).item()

    assert gaussian(0.5, 0.7, -math.inf) == -math.inf
    assert gaussian(0.5, 0.5, -math.inf) == math.inf
    assert gaussian(0.5, 0.7, math.inf) == -math.inf

    def kl(form: str, scale: float, **prior: float) -> tuple[float, float]:
        leaf = torch.full((1, 1), scale, device=device, requires_grad=True)
        mean = torch.full((1, 1), 0.5, device=device)
        prior = {name: torch.full((1, 1), value, device=device) for name, value in prior.items()}
        _, value = dgf.reparameterize_kl(mean, **{form: leaf}, **prior, backend=backend)
        return value.item(), torch.autograd.grad(value.sum(), leaf)[0].item()

    assert kl("logvar", math.inf) == (math.inf, math.inf)
    assert kl("logvar", -math.inf) == (math.inf, -0.5)
    assert kl("std", math.inf) == (math.inf, math.inf)
    assert kl("std", 0.0) == (math.inf, -math.inf)
    assert kl("pre_softplus", math.inf) == (math.inf, math.inf)
    assert kl("pre_softplus", -math.inf) == (math.inf, -1.0)
    assert kl("logvar", 0.0, prior_logvar=math.inf) == (math.inf, -0.5)
    assert kl("logvar", 0.0, prior_logvar=-math.inf) == (math.inf, math.inf)


def test_infinite_std_of_a_sample(backend: str, device: str) -> None:
    mean, std, noise = torch.tensor([[[0.5, 0.5]], [[math.inf] * 2], [[1.0, -1.0]]], device=device)
    std.requires_grad_()
    z, _ = dgf.reparameterize_kl(mean, std=std, noise=noise, backend=backend)
    assert z.tolist() == [[math.inf, -math.inf]]
    assert torch.autograd.grad(z, std, torch.ones_like(z))[0].tolist() == [[1.0, -1.0]]


@pytest.mark.parametrize("reduction", ["none", "sum"])
def test_zero_incoming_gradient_far_out(reduction: str, backend: str, device: str) -> None:
    """Zeros, where slopes have overflowed too."""
    offset, logvar, third = _grid(device, OFFSETS, (*LOGVARS, -1e4, 1e4), (-100.0, 0.5, 100.0))
    target, std = torch.zeros_like(offset), torch.exp(0.1 * logvar.clamp(-500, 500))
    options = {"reduction": reduction, "backend": backend}
    runs = {
        "bernoulli": ([offset, third], lambda a, b: dgf.bernoulli_log_likelihood(a, b, **options)),
        "gaussian": ([offset, logvar], lambda a, b: dgf.gaussian_log_likelihood(a, target, logvar=b, **options)),
        "target": ([target], lambda a: dgf.gaussian_log_likelihood(offset, a, logvar=logvar, **options)),
        "prior": (
            [offset, logvar, target, third],
            lambda a, b, c, d: dgf.reparameterize_kl(a, b, prior_mean=c, prior_logvar=d, **options)[1],
        ),
        "std": ([offset, std], lambda a, b: dgf.reparameterize_kl(a, std=b, prior_logvar=third, **options)[1]),
        "softplus": ([offset, logvar], lambda a, b: dgf.reparameterize_kl(a, pre_softplus=b, **options)[1]),
    }
    for name, (leaves, run) in runs.items():
        _, grads = _run(run, leaves, incoming=0.0)
        assert all((grad == 0).all() for grad in grads), name


@pytest.mark.parametrize("route", ["fused", "sample", "recorded"])
def test_zero_incoming_gradient_of_a_loss_far_out(route: str, backend: str, device: str) -> None:
    offset, logvar = _grid(device, OFFSETS, LOGVARS)
    leaves = [tensor.clone().requires_grad_() for tensor in (offset, logvar, offset, logvar)]
    output, likelihood_logvar, mean, scale = leaves
    loss = dgf.negative_elbo(
        output, torch.zeros_like(output), mean, scale, likelihood="gaussian", likelihood_logvar=likelihood_logvar,
        reduction="sample" if route == "sample" else "mean", backend=backend,
    )  # fmt: skip
    grads = torch.autograd.grad(loss, leaves, torch.zeros_like(loss), create_graph=route == "recorded")
    assert all((grad == 0).all() for grad in grads)


def test_second_derivatives_far_out(backend: str, device: str) -> None:
    """Not NaN where the exponential or its clamp ends; infinite where they overflow."""
    logvar = torch.tensor([[*LOGVARS, 1e4, -1e4]], device=device)
    zero = torch.zeros_like(logvar)

    def second(run, at: Tensor) -> Tensor:
        leaf = at.clone().requires_grad_()
        value = run(leaf)
        (grad,) = torch.autograd.grad(value, leaf, torch.ones_like(value), create_graph=True)
        return torch.autograd.grad(grad, leaf, torch.ones_like(grad))[0]

    options = {"reduction": "none", "backend": backend}
    found = second(lambda v: dgf.gaussian_log_likelihood(zero, zero, logvar=v, **options), logvar)
    assert (found == 0).all()
    found = second(lambda v: dgf.gaussian_log_likelihood(zero, zero + 1, logvar=v, **options), logvar)
    known = (logvar.abs() < 160) & (logvar != -89)
    torch.testing.assert_close(found[known], -0.5 * torch.exp(-logvar[known]), rtol=1e-5, atol=1e-37)
    assert not found.isnan().any()
    found = second(lambda v: dgf.reparameterize_kl(zero, v, **options)[1], logvar)
    clear = logvar != 89  # half of what is just beyond the range
    torch.testing.assert_close(found[clear], 0.5 * torch.exp(logvar[clear]), rtol=1e-5, atol=1e-37)
    found = second(lambda v: dgf.reparameterize_kl(zero, v, prior_logvar=-v.detach(), **options)[1], logvar)
    torch.testing.assert_close(found, 0.5 * torch.exp(2 * logvar), rtol=1e-4, atol=1e-37)
    found = second(lambda v: dgf.reparameterize_kl(zero, v, noise=zero, **options)[0], logvar)
    assert (found == 0).all()


def test_derivative_by_a_zero_incoming_gradient(backend: str, device: str) -> None:
    """The slope, though the gradient itself is zero: a product of vector and Jacobian is linear in the vector."""
    mean, logvar, target = torch.randn(3, 2, 5, device=device)
    leaf = mean.requires_grad_()
    value = dgf.gaussian_log_likelihood(leaf, target, logvar=logvar, reduction="none", backend=backend)
    incoming = torch.zeros_like(value, requires_grad=True)
    (grad,) = torch.autograd.grad(value, leaf, incoming, create_graph=True)
    (found,) = torch.autograd.grad(grad.sum(), incoming)
    torch.testing.assert_close(found, (target - mean.detach()) * torch.exp(-logvar))
