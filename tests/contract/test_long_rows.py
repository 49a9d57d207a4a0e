"""Contract 1 on rows that are cut into chunks: the CPU kernels' threads share them, 32,768 columns each."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import deepgen_fast as dgf
from contract.cases import TYPICAL, Case, Shape
from contract.measure import assert_within_ulps
from contract.test_truth import _eager_errors, check_truth
from deepgen_fast import backends

CHUNK = 2**15
LONG = Shape(1, (2 * CHUNK + 7,))
ROWS = tuple(case for case in TYPICAL if case.op != "minibatch_discrimination")


@pytest.mark.parametrize("case", ROWS, ids=str)
def test_truth(case: Case, backend: str, device: str) -> None:
    """Values and gradients of each operator, over chunks and the part of one that is left."""
    if backend == "reference":
        pytest.skip("plain torch: it cuts no rows")
    inputs = case.inputs(LONG, torch.float32)
    check_truth(case, inputs, _eager_errors(case, LONG, torch.float32, 1, device), backend, device)


COLUMNS = 24 * CHUNK + 5
HUGE = 2.0**20  # its square is so large that float32 would lose what each of the other chunks adds up to


def _ordinary() -> tuple[Tensor, Tensor]:
    """A row [1, COLUMNS] of numbers and of targets; the first number of the first chunk is huge."""
    output, target = torch.randn(1, COLUMNS), torch.rand(1, COLUMNS)
    output[0, 0] = HUGE
    return output, target


def _bernoulli(reduction: str) -> Tensor:
    logits, target = _ordinary()
    logits[0, 0], target[0, 0] = HUGE**2, 0.0
    return dgf.bernoulli_log_likelihood(logits, target, reduction=reduction, backend="cpu")


def _gaussian(reduction: str) -> Tensor:
    return dgf.gaussian_log_likelihood(*_ordinary(), reduction=reduction, backend="cpu")


def _kl(reduction: str) -> Tensor:
    mean, logvar = _ordinary()
    return dgf.reparameterize_kl(mean, logvar, reduction=reduction, backend="cpu")[1]


def _shared_logvar_gradient(reduction: str) -> Tensor:
    """Of one log-variance for all; element by element where each has its own."""
    output, target = _ordinary()
    logvar = torch.zeros(() if reduction == "sample" else output.shape, requires_grad=True)
    dgf.gaussian_log_likelihood(output, target, logvar=logvar, backend="cpu").sum().backward()
    assert logvar.grad is not None
    return logvar.grad.view(1) if reduction == "sample" else logvar.grad


def _loss(likelihood: str, latents: bool):
    def run(reduction: str) -> Tensor:
        output, target = _ordinary()
        pixel, latent = torch.zeros(1, 1), torch.zeros(1, 1)
        if likelihood == "bernoulli":
            output[0, 0], target[0, 0] = HUGE**2, 0.0
        if reduction == "none":
            element = dgf.bernoulli_log_likelihood if likelihood == "bernoulli" else dgf.gaussian_log_likelihood
            if latents:
                kl = dgf.reparameterize_kl(output, target, reduction="none", backend="cpu")[1]
                return torch.cat([kl, -element(pixel, pixel, reduction="none", backend="cpu")], 1)
            return -element(output, target, reduction="none", backend="cpu")
        operands = (pixel, pixel, output, target) if latents else (output, target, latent, latent)
        return dgf.negative_elbo(*operands, likelihood=likelihood, reduction="sum", backend="cpu").view(1)

    return run


SUMS = {
    "bernoulli": _bernoulli, "gaussian": _gaussian, "kl": _kl, "shared logvar": _shared_logvar_gradient,
    "loss, bernoulli": _loss("bernoulli", False), "loss, gaussian": _loss("gaussian", False),
    "loss, latents": _loss("gaussian", True),
}  # fmt: skip


@pytest.mark.skipif(bool(backends.unavailable("cpu")), reason=str(backends.unavailable("cpu")))
@pytest.mark.parametrize("name", SUMS)
def test_chunks_add_up_in_float64(name: str) -> None:
    """The sum of a row is that of its elements, in float64, rounded once."""
    results = []
    for reduction in ("sample", "none"):
        torch.manual_seed(0)
        results.append(SUMS[name](reduction).detach())
    assert_within_ulps(results[0], results[1].double().sum(1), 1)


@pytest.mark.skipif(backends.unavailable("cpu") is not None, reason=str(backends.unavailable("cpu")))
@pytest.mark.parametrize("case", ROWS, ids=str)
def test_chunks_are_summed_in_float64(case: Case) -> None:
    """Nothing on the way from the chunks to a float64 row is rounded to float32."""
    inputs = case.inputs(LONG, torch.float64)
    found, expected = (case.run(inputs, backend) for backend in ("cpu", "reference"))
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-9)
