"""Contract 7, special values: NaN and inf as in eager, no NaN from finite input, extreme log-variances saturate."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import deepgen_fast as dgf
from contract.cases import CASES, Arguments, Case, Shape, to_device
from contract.convolutions import CONVOLUTIONS

SHAPE = Shape(3, (19,))
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def _with_gradients(case: Case, inputs: Arguments, backend: str, incoming: float) -> tuple[list[Tensor], list[Tensor]]:
    leaves = {n: v.detach().requires_grad_() if n in case.differentiable else v for n, v in inputs.items()}
    torch.manual_seed(1)
    outputs = case.run(leaves, backend)
    sources = [leaves[name] for name in case.differentiable]
    grads = torch.autograd.grad(outputs, sources, [torch.full_like(output, incoming) for output in outputs])
    return [output.detach() for output in outputs], list(grads)


# A masked NaN counts nothing, which is no matter of eager's.
UNMASKED = tuple(case for case in CASES if "mask" not in case.inputs(Shape(1, (1,)), torch.float32))


@pytest.mark.parametrize("case", UNMASKED, ids=str)
def test_nan_propagates_as_in_eager(case: Case, backend: str, device: str) -> None:
    """A NaN in any input makes NaN of those outputs that eager makes NaN, and of no others."""
    for name in case.differentiable:
        inputs = case.inputs(SHAPE, torch.float32)
        inputs[name].view(-1)[-1] = math.nan
        found = case.run(to_device(inputs, device), backend)
        for one, two in zip(found, case.eager(inputs), strict=True):
            assert torch.equal(one.isnan().cpu(), two.isnan()), name


@pytest.mark.parametrize("case", UNMASKED, ids=str)
def test_nan_gradients_as_in_eager(case: Case, backend: str, device: str) -> None:
    """So do gradients: at least where eager has NaN, and never in another example."""
    for name in case.differentiable:
        inputs = case.inputs(SHAPE, torch.float32)
        if inputs[name].dim() != 2:
            continue
        inputs[name][-1, 0] = math.nan
        _, grads = _with_gradients(case, to_device(inputs, device), backend, 1.0)
        own = grads[case.differentiable.index(name)]
        if own.dim() == 2 and own.shape[0] == SHAPE.batch:
            assert not own[:-1].isnan().any(), name


@pytest.mark.parametrize("case", UNMASKED, ids=str)
@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinities_as_in_eager(case: Case, value: float, backend: str, device: str) -> None:
    """An infinite input gives the infinity, the NaN or the finite limit that eager gives; saturation may save a NaN."""
    for name in case.differentiable:
        if name == "std" and value < 0:
            continue  # no standard deviation
        inputs = case.inputs(SHAPE, torch.float32)
        inputs[name].view(-1)[-1] = value
        found = case.run(to_device(inputs, device), backend)
        for one, two in zip(found, case.eager(inputs), strict=True):
            one, known = one.cpu(), ~two.isnan()
            assert torch.equal(one[known].isinf(), two[known].isinf()), name
            assert torch.equal(one[known].sign(), two[known].sign()) and not one[known].isnan().any(), name


def _extremes(dtype: torch.dtype) -> Tensor:
    largest = torch.finfo(dtype).max
    numbers = [0.0, 1.0, -1.0, 1e-30, 90.0, -90.0, 180.0, -180.0, 1e4, -1e4, largest, -largest]
    return torch.tensor([number for number in numbers if abs(number) <= largest], dtype=dtype)


def _grid(dtype: torch.dtype, device: str, count: int) -> list[Tensor]:
    axes = torch.meshgrid(*[_extremes(dtype)] * count, indexing="ij")
    return [axis.reshape(1, -1).to(device) for axis in axes]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype)[6:])
def test_finite_input_gives_no_nan(dtype: torch.dtype, backend: str, device: str) -> None:
    """Every combination of extreme finite numbers: values and gradients hold no NaN."""
    mean, scale, third = _grid(dtype, device, 3)
    noise = third.clamp(-6, 6)
    likelihood = {"reduction": "none", "backend": backend}
    posterior = {"noise": noise, "reduction": "none", "backend": backend}
    runs = {
        "bernoulli": ((mean,), lambda a: dgf.bernoulli_log_likelihood(a, scale.sigmoid(), **likelihood)),
        "gaussian": ((mean, scale), lambda a, b: dgf.gaussian_log_likelihood(a, third, logvar=b, **likelihood)),
        "unit": ((mean,), lambda a: dgf.gaussian_log_likelihood(a, third, **likelihood)),
        "z": ((mean, scale), lambda a, b: dgf.reparameterize_kl(a, b, **posterior)[0]),
        "kl": ((mean, scale), lambda a, b: dgf.reparameterize_kl(a, b, **posterior)[1]),
        "softplus z": ((mean, scale), lambda a, b: dgf.reparameterize_kl(a, pre_softplus=b, **posterior)[0]),
        "softplus kl": ((mean, scale), lambda a, b: dgf.reparameterize_kl(a, pre_softplus=b, **posterior)[1]),
        "prior kl": ((mean, scale), lambda a, b: dgf.reparameterize_kl(a, b, prior_logvar=third, **posterior)[1]),
        "prior mean": ((mean, scale), lambda a, b: dgf.reparameterize_kl(a, b, prior_mean=third, **posterior)[1]),
    }
    for name, (tensors, run) in runs.items():
        leaves = [tensor.detach().clone().requires_grad_() for tensor in tensors]
        value = run(*leaves)
        assert not value.isnan().any(), name
        grads = torch.autograd.grad(value, leaves, torch.ones_like(value))
        assert not any(grad.isnan().any() for grad in grads), f"gradient of {name}"


@pytest.mark.parametrize("case", (*CASES, *CONVOLUTIONS), ids=str)
def test_zero_incoming_gradient(case: Case, backend: str, device: str) -> None:
    """A zero incoming gradient gives zero gradients."""
    inputs = to_device(case.inputs(SHAPE, torch.float32), device)
    _, grads = _with_gradients(case, inputs, backend, 0.0)
    assert all((grad == 0).all() for grad in grads)


@pytest.mark.parametrize("extreme", [1e4, -1e4])
def test_zero_incoming_gradient_at_extreme_log_variance(extreme: float, backend: str, device: str) -> None:
    """Also where the posterior's variance overflowed or vanished: no 0 * inf."""
    mean, logvar = torch.full((1, 5), 2.0, device=device), torch.full((1, 5), extreme, device=device)
    leaves = [mean.requires_grad_(), logvar.requires_grad_()]
    for value in dgf.reparameterize_kl(mean, logvar, backend=backend):
        for grad in torch.autograd.grad(value, leaves, torch.zeros_like(value), retain_graph=True):
            assert (grad == 0).all()


def test_extreme_log_variance_saturates(backend: str, device: str) -> None:
    """The limits are the right ones: a point mass, an infinite spread, and what they cost."""
    low, high = torch.full((1, 1), -1e4, device=device), torch.full((1, 1), 1e4, device=device)
    one, noise = torch.ones(1, 1, device=device), torch.ones(1, 1, device=device)
    z, kl = dgf.reparameterize_kl(one, low, noise=noise, backend=backend)
    assert z.item() == 1.0 and kl.item() == 5000.0  # (exp(-1e4) - 1 + 1e4 + 1) / 2
    z, kl = dgf.reparameterize_kl(one, high, noise=noise, backend=backend)
    assert z.item() == math.inf and kl.item() == math.inf
    z, _ = dgf.reparameterize_kl(one, high, noise=0 * noise, backend=backend)
    assert z.item() == 1.0
    log_two_pi = math.log(2 * math.pi)
    at_mean = dgf.gaussian_log_likelihood(one, one, logvar=low, backend=backend).item()
    assert at_mean == pytest.approx(5000.0 - 0.5 * log_two_pi, rel=1e-6)
    assert dgf.gaussian_log_likelihood(0 * one, one, logvar=low, backend=backend).item() < -1e37
    spread = dgf.gaussian_log_likelihood(0 * one, one, logvar=high, backend=backend).item()
    assert spread == pytest.approx(-5000.0 - 0.5 * log_two_pi, rel=1e-6)


@pytest.mark.parametrize("kind", ["bernoulli", "gaussian"])
def test_masked_nan_counts_nothing(kind: str, backend: str, device: str) -> None:
    """A masked element contributes exactly nothing and gets exactly zero gradient, whatever it holds."""
    for bad in (math.nan, math.inf, -math.inf):
        values, target, logvar = torch.randn(3, 2, 20, device=device).sigmoid().unbind()
        mask = torch.rand(2, 20, device=device) > 0.4
        dirty = [torch.where(mask, tensor, bad).requires_grad_() for tensor in (values, target, logvar)]
        clean = [torch.where(mask, tensor, 0.0).requires_grad_() for tensor in (values, target, logvar)]

        def run(tensors: list[Tensor], mask: Tensor = mask) -> tuple[Tensor, list[Tensor]]:
            if kind == "bernoulli":
                tensors = tensors[:2]
                value = dgf.bernoulli_log_likelihood(*tensors, mask=mask, backend=backend)
            else:
                value = dgf.gaussian_log_likelihood(*tensors[:2], logvar=tensors[2], mask=mask, backend=backend)
            return value, list(torch.autograd.grad(value.sum(), tensors))

        found, expected = run(dirty), run(clean)
        assert torch.equal(found[0], expected[0])
        for one, two in zip(found[1], expected[1], strict=True):
            assert torch.equal(one, two) and (one[~mask] == 0).all()
